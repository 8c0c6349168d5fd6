"""INT8: the convolutions of a detector's ONNX graph between QuantizeLinear and DequantizeLinear.

For OpenVINO, which reads it. Weights have 8 bits per output channel,
symmetric; activations 8 bits per tensor, unsigned with a zero point, over the range that images
which look like those to come have shown. What the rounding of weights moves the mean of an output
channel by is taken back in its bias. :mod:`lighthead.deploy.quantised_tensors` says what is
quantised, and docs/fast_path.md what other placements cost.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from lighthead.deploy.equalise import equalise
from lighthead.deploy.observe import Feeds, Observed, observe
from lighthead.deploy.quantised_tensors import (
    dense_nodes,
    producers_of,
    quantised_convolutions,
    scale_groups,
    sources_of,
)

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

STEPS = 255
"""Of an activation's range."""
WEIGHT_STEPS = 127
"""On either side of zero."""
BIAS_STEPS = 2**30
"""A bias is an int32 in steps of the input's and the weights' scale: more would overflow."""


class Scale(NamedTuple):
    """A real value is ``step * (byte - zero)``."""

    step: np.ndarray
    zero: np.ndarray


def quantise(model: 'ModelProto', inputs: Feeds) -> 'ModelProto':
    """A quantised copy of a detector's graph.

    Args:
        model: In float32.
        inputs: Of the graph, one entry per call: typical images.

    Raises:
        UserError: onnxruntime is not installed.
    """
    import onnx

    result = onnx.ModelProto()
    result.CopyFrom(model)
    equalise(result, inputs)
    convolutions = quantised_convolutions(result)
    groups = scale_groups(result, convolutions)
    seen = observe(result, {*groups, *(node.input[0] for node in convolutions)}, inputs)
    scales = {group: scale_of(group, groups, seen) for group in set(groups.values())}
    writer = GraphWriter(result)
    for node in convolutions:
        (source, *_) = sources_of(node.input[0], writer.producers)
        mean = seen[node.input[0]].mean.mean(axis=0)
        writer.quantise_weights(node, scales[groups[source]], mean)
    writer.quantise_activations(groups, scales)
    writer.finish()
    return result


def scale_of(group: str, groups: Mapping[str, str], seen: Mapping[str, Observed]) -> Scale:
    """The scale of a group of tensors: zero is always one of the values."""
    ranges = [seen[name].limits for name, own in groups.items() if own == group]
    low = min(0.0, *(low for low, _ in ranges))
    high = max(0.0, *(high for _, high in ranges))
    step = np.float32((high - low) / STEPS or 1.0)
    return Scale(np.array(step), np.array(round(-low / float(step)), np.uint8))


def weight_steps(weights: np.ndarray, bias: np.ndarray, input_step: float) -> np.ndarray:
    """The step (O,) of each output channel's weights (O, I, kH, kW)."""
    largest = np.abs(weights).reshape(len(weights), -1).max(axis=1) / WEIGHT_STEPS
    steps = np.maximum(largest, np.abs(bias) / (input_step * BIAS_STEPS))
    steps[steps == 0] = 1.0
    return steps.astype(np.float32)


class GraphWriter:
    """Puts QuantizeLinear and DequantizeLinear into a graph, in place.

    Args:
        model: It is changed.
    """

    def __init__(self, model: 'ModelProto') -> None:
        from onnx import numpy_helper

        self.graph = model.graph
        self.dense = {node.name for node in dense_nodes(model)}
        self.producers = producers_of(model)
        self.constants = {
            entry.name: numpy_helper.to_array(entry) for entry in model.graph.initializer
        }
        self.before: dict[str, list[NodeProto]] = defaultdict(list)
        self.behind: dict[str, list[NodeProto]] = defaultdict(list)

    def quantise_weights(self, node: 'NodeProto', scale: Scale, mean: np.ndarray) -> None:
        """Weights in int8 and bias in int32, for an input of this scale and mean (I,)."""
        weights = self.constants[node.input[1]]
        bias = self.constants[node.input[2]] if len(node.input) > 2 else np.zeros(len(weights))
        steps = weight_steps(weights, bias, float(scale.step))
        rounded = np.rint(weights / steps[:, None, None, None])
        lost = (weights - rounded * steps[:, None, None, None]).sum(axis=(2, 3))
        bias = bias + (lost[:, 0] * mean if lost.shape[1] == 1 else lost @ mean)
        bias_steps = steps * scale.step
        del node.input[2:]
        node.input[1] = self._constant(node, 'weight', rounded.astype(np.int8), steps)
        rounded_bias = np.rint(bias / bias_steps).astype(np.int32)
        node.input.append(self._constant(node, 'bias', rounded_bias, bias_steps))

    def _constant(self, node: 'NodeProto', what: str, values: np.ndarray, steps: np.ndarray) -> str:
        """A quantised constant of a node; the name of what DequantizeLinear makes of it."""
        names = [f'{node.name}_{what}_{part}' for part in ('quantised', 'scale', 'zero_point')]
        for name, value in zip(
            names, (values, steps, np.zeros(len(steps), values.dtype)), strict=True
        ):
            self._initializer(name, value)
        self.before[node.name].append(_node('DequantizeLinear', names, axis=0))
        return self.before[node.name][-1].output[0]

    def quantise_activations(self, groups: Mapping[str, str], scales: Mapping[str, Scale]) -> None:
        """Let all dense readers of the tensors read 8 bits."""
        read: dict[str, str] = {}
        for group, scale in scales.items():
            self._initializer(f'{group}_scale', scale.step)
            self._initializer(f'{group}_zero_point', scale.zero)
        for name, group in groups.items():
            shared = [f'{group}_scale', f'{group}_zero_point']
            to_bytes = _node('QuantizeLinear', [name, *shared])
            back = _node('DequantizeLinear', [to_bytes.output[0], *shared])
            producer = self.producers.get(name)
            self.behind[producer.name if producer else ''] += [to_bytes, back]
            read[name] = back.output[0]
        for node in self.graph.node:
            if node.name in self.dense:
                node.input[:] = [read.get(name, name) for name in node.input]

    def _initializer(self, name: str, value: np.ndarray) -> None:
        from onnx import numpy_helper

        self.graph.initializer.append(numpy_helper.from_array(value, name))

    def finish(self) -> None:
        """Write the new nodes where they belong, and drop the weights that nobody reads."""
        nodes = self.behind['']
        for node in self.graph.node:
            nodes += [*self.before[node.name], node, *self.behind[node.name]]
        read = {name for node in nodes for name in node.input}
        kept = [entry for entry in self.graph.initializer if entry.name in read]
        del self.graph.node[:], self.graph.initializer[:]
        self.graph.node.extend(nodes)
        self.graph.initializer.extend(kept)


def _node(kind: str, reads: Sequence[str], axis: int | None = None) -> 'NodeProto':
    """A node that is called as its output."""
    from onnx import helper

    name = f'{reads[0]}_{kind}'
    node = helper.make_node(kind, reads, [name], name=name)
    if axis is not None:
        node.attribute.append(helper.make_attribute('axis', axis))
    return node
