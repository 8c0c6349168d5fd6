"""OpenVINO behind the detector: fp32, bf16, or a quantised file."""

import contextlib
import os
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from lighthead.deploy.metadata import OUTPUTS, ExportMeta, dense_names
from lighthead.deploy.verify_onnx import metadata_of, parse_onnx
from lighthead.deploy.verify_openvino import verify_openvino
from lighthead.errors import UserError, missing_extra
from lighthead.inference.runtimes.backend import RawDetections
from lighthead.inference.runtimes.files import (
    check_file_precision,
    contiguous_batch,
    read_content,
    refusing_failures,
    sizes_array,
    unpad,
)

if TYPE_CHECKING:
    from openvino import CompiledModel, Core, Model

CACHE_VARIABLE = 'LIGHTHEAD_OPENVINO_CACHE'
"""Environment variable with a folder in which OpenVINO keeps compiled models, to start faster."""


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

    device = 'cpu'
    make_batch = staticmethod(contiguous_batch)

    def __init__(
        self, path: Path, precision: str | None = None, threads: int | None = None
    ) -> None:
        try:
            import openvino as ov
        except ImportError as error:
            raise missing_extra('openvino', 'openvino') from error
        self.path = path
        core = ov.Core()
        self.meta, model = read_model(core, path)
        self.precision = check_file_precision(
            self.meta, precision, ('fp32', 'bf16'), path, 'openvino'
        )
        with refusing_failures(path):
            self.parts = compiled_parts(ov, core, model, self.precision, threads)
        self.best_batch_size = 8 if self.precision == 'bf16' else 4
        self.idle_requests: deque[list] = deque()

    def __call__(
        self, batch: np.ndarray, sizes: Sequence[tuple[int, int]], score_thr: float = 0.0
    ) -> list[RawDetections]:
        """See :class:`lighthead.inference.runtimes.backend.Backend`; the file's threshold holds."""
        inputs = dict(images=np.ascontiguousarray(batch), sizes=sizes_array(sizes))
        with refusing_failures(self.path), self._borrowed_requests() as (*dense, last):
            if dense:
                maps = dense[0].infer(inputs, share_inputs=True, share_outputs=True)
                inputs |= {entry.any_name: maps[entry] for entry in self.parts[0].outputs}
            outputs = last.infer(inputs, share_inputs=True, share_outputs=True)
            arrays = [np.array(outputs[name]) for name in OUTPUTS]
        boxes, scores, labels, num = arrays
        return unpad(boxes, scores, labels, num, len(self.meta.classes), self.path)

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


def read_model(core: 'Core', path: Path) -> tuple[ExportMeta, 'Model']:
    """The metadata and the :class:`openvino.Model` of an OpenVINO or ONNX file.

    Raises:
        UserError: it cannot be used.
    """
    content = read_content(path)
    if path.suffix.lower() == '.onnx':
        strings = metadata_of(parse_onnx(content, path))
    else:
        strings = verify_openvino(content, read_content(path.with_suffix('.bin')), path)
    meta = ExportMeta.from_strings(strings, path)
    with refusing_failures(path):
        return meta, core.read_model(path)


def compiled_parts(
    ov: ModuleType, core: 'Core', model: 'Model', precision: str, threads: int | None
) -> list['CompiledModel']:
    """A model compiled for the CPU: one part, or for bf16 the convolutions and the rest."""
    options: dict[str, str | int] = {'PERFORMANCE_HINT': 'LATENCY', 'NUM_STREAMS': '1'}
    if threads is not None:
        options['INFERENCE_NUM_THREADS'] = threads
    if folder := os.environ.get(CACHE_VARIABLE):
        options['CACHE_DIR'] = folder
    exact = dict(options, INFERENCE_PRECISION_HINT='f32')
    if precision != 'bf16':
        return [core.compile_model(model, 'CPU', exact)]
    if 'BF16' not in core.get_property('CPU', 'OPTIMIZATION_CAPABILITIES'):
        raise UserError(
            "This processor has no bf16 for OpenVINO: choose precision='fp32' or an INT8 file."
        )
    dense, rest = split(ov, model)
    half = dict(options, INFERENCE_PRECISION_HINT='bf16')
    return [core.compile_model(dense, 'CPU', half), core.compile_model(rest, 'CPU', exact)]


def split(ov: ModuleType, model: 'Model') -> tuple['Model', 'Model']:
    """The convolutions as one model, everything behind them as another.

    Of the images, the second uses no more than the shape.
    """
    from openvino import opset13 as ops

    images, sizes = (model.input(name).get_node() for name in ('images', 'sizes'))
    outputs = [output for node in model.get_ordered_ops() for output in node.outputs()]
    cuts = {name: output for output in outputs for name in dense_names(output.get_names())}
    if 'thin_map' not in cuts:
        raise UserError(
            'The file does not name the maps of its convolutions: export the checkpoint again.'
        )
    entries = []
    for name, output in cuts.items():
        entry = ops.parameter(output.get_partial_shape(), np.float32, name=name)
        entry.output(0).set_names({name})
        for target in output.get_target_inputs():
            target.replace_source_output(entry.output(0))
        entries.append(entry)
    dense_results = []
    for name, output in cuts.items():
        output.set_names({name})
        dense_results.append(ops.result(output))
    # A backbone that shuffles asks for the batch size, which stands in the sizes.
    dense = ov.Model(dense_results, [images, sizes], 'dense')
    rest = ov.Model(model.get_results(), [*entries, images, sizes], 'rest')
    return dense, rest
