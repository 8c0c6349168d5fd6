"""OpenVINO behind the detector: fp32, bf16, or a quantised file."""

import contextlib
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lighthead.deploy.metadata import DENSE_OUTPUTS, OUTPUTS, ExportMeta
from lighthead.errors import UserError
from lighthead.inference.runtimes.exported import (
    check_file_precision,
    missing_extra,
    sizes_array,
    unpad,
)
from lighthead.inference.runtimes.torch_backend import RawDetections


class OpenVinoBackend:
    """Runs an OpenVINO (.xml) or ONNX file on the CPU.

    The precision is always set, never left to OpenVINO, which takes bf16 by
    itself where the processor has it. bf16 has 8 bits, too few for
    coordinates: so the convolutions alone are computed in it. For that the
    graph is cut behind them into two.

    Threads may share a backend: each call has infer requests of its own.

    Args:
        path: The file.
        precision: ``'fp32'``, ``'bf16'``, or ``'int8'`` for a quantised file; None
            is the file's.
        threads: None: as many as there are cores.
    """

    device = torch.device('cpu')
    channels_last = False

    def __init__(
        self, path: Path, precision: str | None = None, threads: int | None = None
    ) -> None:
        try:
            import openvino as ov
        except ImportError as error:
            raise missing_extra('openvino', 'openvino') from error
        core = ov.Core()
        try:
            model = core.read_model(path)
        except RuntimeError as error:
            raise UserError(
                f'{path} cannot be read by OpenVINO ({str(error).splitlines()[0][:200]}): export '
                'the checkpoint again.'
            ) from error
        self.meta = read_metadata(model, path)
        self.precision = check_file_precision(
            self.meta, precision, ('fp32', 'bf16'), path, 'openvino'
        )
        options = {'PERFORMANCE_HINT': 'LATENCY', 'NUM_STREAMS': '1'}
        if threads is not None:
            options['INFERENCE_NUM_THREADS'] = threads
        exact = dict(options, INFERENCE_PRECISION_HINT='f32')
        self.parts = []
        if self.precision == 'bf16':
            supported = core.get_property('CPU', 'OPTIMIZATION_CAPABILITIES')
            if 'BF16' not in supported:
                raise UserError(
                    "This processor has no bf16 for OpenVINO: choose precision='fp32' or an INT8 "
                    'file.'
                )
            dense, rest = split(ov, model)
            half = dict(options, INFERENCE_PRECISION_HINT='bf16')
            self.parts = [core.compile_model(dense, 'CPU', half)]
            self.parts += [core.compile_model(rest, 'CPU', exact)]
        else:
            self.parts = [core.compile_model(model, 'CPU', exact)]
        self.idle_requests: deque[list] = deque()

    def __call__(self, batch: Tensor, sizes: Sequence[tuple[int, int]]) -> list[RawDetections]:
        """See :class:`lighthead.inference.runtimes.torch_backend.Backend`."""
        inputs = dict(images=batch.contiguous().numpy(), sizes=sizes_array(sizes))
        with self._borrowed_requests() as (*dense, last):
            if dense:
                maps = dense[0].infer(inputs, share_inputs=True, share_outputs=True)
                inputs |= {name: maps[name] for name in DENSE_OUTPUTS}
            outputs = last.infer(inputs, share_inputs=True, share_outputs=True)
            return unpad(*(np.array(outputs[name]) for name in OUTPUTS))

    @contextlib.contextmanager
    def _borrowed_requests(self) -> Iterator[list]:
        """One infer request per part, for this call alone.

        A request holds the tensors of its call, so two threads may not share one. There are
        never more than there were calls at the same time; ``deque`` needs no lock.
        """
        try:
            requests = self.idle_requests.pop()
        except IndexError:
            requests = [part.create_infer_request() for part in self.parts]
        try:
            yield requests
        finally:
            self.idle_requests.append(requests)


def read_metadata(model, path: Path) -> ExportMeta:
    """The metadata of an OpenVINO model: its own, or an ONNX file's."""
    for places in (['lighthead'], ['framework']):
        if model.has_rt_info(places):
            strings = {}
            for key, value in model.get_rt_info(places).value.items():
                strings[key] = str(getattr(value, 'value', value))
            if 'classes' in strings:
                return ExportMeta.from_strings(strings, path)
    return ExportMeta.from_strings({}, path)


def split(ov, model) -> tuple:
    """The convolutions as one model, everything behind them as another.

    Of the images, the second uses no more than the shape.
    """
    from openvino import opset13 as ops

    images, sizes = (model.input(name).get_node() for name in ('images', 'sizes'))
    cuts = {}
    for node in model.get_ordered_ops():
        for output in node.outputs():
            for name in output.get_names() & set(DENSE_OUTPUTS):
                cuts[name] = output
    if missing := set(DENSE_OUTPUTS) - cuts.keys():
        raise UserError(
            f'The file lacks the tensors {", ".join(sorted(missing))}: export the checkpoint again.'
        )
    entries = []
    for name in DENSE_OUTPUTS:
        entry = ops.parameter(cuts[name].get_partial_shape(), np.float32, name=name)
        entry.output(0).set_names({name})
        for target in cuts[name].get_target_inputs():
            target.replace_source_output(entry.output(0))
        entries.append(entry)
    dense_results = []
    for name in DENSE_OUTPUTS:
        cuts[name].set_names({name})
        dense_results.append(ops.result(cuts[name]))
    # A backbone that shuffles asks for the batch size, which stands in the sizes.
    dense = ov.Model(dense_results, [images, sizes], 'dense')
    rest = ov.Model(model.get_results(), [*entries, images, sizes], 'rest')
    return dense, rest
