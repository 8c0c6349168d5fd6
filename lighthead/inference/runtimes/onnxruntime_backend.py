"""ONNX Runtime behind the detector."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from lighthead.deploy.metadata import INPUTS, OUTPUTS, ExportMeta
from lighthead.errors import UserError
from lighthead.inference.runtimes.exported import (
    check_file_precision,
    missing_extra,
    sizes_array,
    unpad,
)
from lighthead.inference.runtimes.torch_backend import RawDetections


class OnnxRuntimeBackend:
    """Runs an ONNX file on the CPU.

    Args:
        path: The file.
        precision: ``'fp32'``, or ``'int8'`` for a quantised file; None is the file's.
        threads: Of one operator; None: as many as there are cores.
    """

    device = torch.device('cpu')
    channels_last = False

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
        try:
            self.session = ort.InferenceSession(
                str(path), options, providers=['CPUExecutionProvider']
            )
        except Exception as error:  # onnxruntime's own exceptions share no base class
            raise UserError(
                f'{path} cannot be read by ONNX Runtime ({str(error).splitlines()[0][:200]}): '
                'export the checkpoint again.'
            ) from error
        strings = self.session.get_modelmeta().custom_metadata_map
        self.meta = ExportMeta.from_strings(strings, path)
        self.precision = check_file_precision(self.meta, precision, ('fp32',), path, 'onnxruntime')

    def __call__(self, batch: Tensor, sizes: Sequence[tuple[int, int]]) -> list[RawDetections]:
        """See :class:`lighthead.inference.runtimes.torch_backend.Backend`."""
        feeds = dict(zip(INPUTS, (batch.contiguous().numpy(), sizes_array(sizes)), strict=True))
        return unpad(*self.session.run(list(OUTPUTS), feeds))
