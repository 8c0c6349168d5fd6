"""ONNX Runtime behind the detector."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lighthead.deploy.metadata import INPUTS, OUTPUTS, ExportMeta
from lighthead.deploy.verify_onnx import metadata_of, parse_onnx
from lighthead.errors import missing_extra
from lighthead.inference.runtimes.backend import RawDetections
from lighthead.inference.runtimes.files import (
    check_file_precision,
    contiguous_batch,
    read_content,
    refusing_failures,
    sizes_array,
    unpad,
)


class OnnxRuntimeBackend:
    """Runs an ONNX file on the CPU.

    Args:
        path: The file.
        precision: ``'fp32'``, or ``'int8'`` for a quantised file; None is the file's.
        threads: Of one operator; None: as many as there are cores.
    """

    device = 'cpu'
    best_batch_size = 1
    make_batch = staticmethod(contiguous_batch)

    def __init__(
        self, path: Path, precision: str | None = None, threads: int | None = None
    ) -> None:
        try:
            import onnxruntime as ort
        except ImportError as error:
            raise missing_extra('onnxruntime', 'export') from error
        options = ort.SessionOptions()
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.log_severity_level = 3
        if threads is not None:
            options.intra_op_num_threads = threads
        self.path = path
        content = read_content(path)
        model = parse_onnx(content, path)
        self.meta = ExportMeta.from_strings(metadata_of(model), path)
        with refusing_failures(path):
            self.session = ort.InferenceSession(content, options, ['CPUExecutionProvider'])
        self.precision = check_file_precision(self.meta, precision, ('fp32',), path, 'onnxruntime')

    def __call__(
        self, batch: np.ndarray, sizes: Sequence[tuple[int, int]], score_thr: float = 0.0
    ) -> list[RawDetections]:
        """See :class:`lighthead.inference.runtimes.backend.Backend`; the file's threshold holds."""
        feeds = dict(zip(INPUTS, (np.ascontiguousarray(batch), sizes_array(sizes)), strict=True))
        with refusing_failures(self.path):
            outputs = self.session.run(list(OUTPUTS), feeds)
        boxes, scores, labels, num = outputs
        return unpad(boxes, scores, labels, num, len(self.meta.classes), self.path)
