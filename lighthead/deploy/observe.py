"""What values the tensors of an ONNX graph take on given inputs."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from lighthead.errors import missing_extra

if TYPE_CHECKING:
    from onnx import ModelProto

Feeds = Sequence[Mapping[str, np.ndarray]]
STATISTICS = ('ReduceMin', 'ReduceMax', 'ReduceMean')


class Observed(NamedTuple):
    """Of a tensor (B, C, H, W): the least, largest and mean value of each channel, (N, C) over N
    inputs."""

    low: np.ndarray
    high: np.ndarray
    mean: np.ndarray

    @property
    def limits(self) -> tuple[float, float]:
        """The least and the largest value, on average over the inputs: one odd image does not
        stretch the scale of all others."""
        return float(self.low.min(axis=1).mean()), float(self.high.max(axis=1).mean())

    @property
    def peaks(self) -> np.ndarray:
        """The largest absolute value of each channel, on average over the inputs."""
        return np.maximum(-self.low, self.high).mean(axis=0)


def observe(model: 'ModelProto', tensors: Iterable[str], inputs: Feeds) -> dict[str, Observed]:
    """Run a graph on inputs and watch some of its tensors.

    Raises:
        UserError: onnxruntime is not installed.
    """
    from onnx import ModelProto, TensorProto, helper, numpy_helper

    tensors = list(tensors)
    probe = ModelProto()
    probe.CopyFrom(model)
    graph = probe.graph
    del graph.output[:]
    axes = numpy_helper.from_array(np.array([0, 2, 3]), 'all axes but the channels')
    graph.initializer.append(axes)
    for name in tensors:
        for kind in STATISTICS:
            output = f'{kind} of {name}'
            reads = [name, axes.name]
            graph.node.append(helper.make_node(kind, reads, [output], name=output, keepdims=0))
            graph.output.append(helper.make_tensor_value_info(output, TensorProto.FLOAT, None))
    runs = [np.stack(values) for values in zip(*_run(probe, inputs), strict=True)]
    count = len(STATISTICS)
    return {name: Observed(*runs[i * count : (i + 1) * count]) for i, name in enumerate(tensors)}


def _run(model: 'ModelProto', inputs: Feeds) -> Iterator[list[np.ndarray]]:
    """All outputs for each input, by ONNX Runtime."""
    try:
        import onnxruntime
    except ImportError as error:
        raise missing_extra('onnxruntime', 'export') from error
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, ['CPUExecutionProvider']
    )
    needed = [entry.name for entry in session.get_inputs()]
    for feeds in inputs:
        yield session.run(None, {name: feeds[name] for name in needed})
