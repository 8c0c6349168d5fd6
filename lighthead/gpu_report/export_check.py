"""An exported file on one of ONNX Runtime's execution providers against its CPU's."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from mmdet.models.detectors import BaseDetector
from torch import Tensor

from lighthead.deploy.export_onnx import onnx_program
from lighthead.deploy.metadata import INPUTS, OUTPUTS
from lighthead.gpu_report.detectors import Agreement
from lighthead.inference.runtimes.backend import RawDetections

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

CPU = 'CPUExecutionProvider'


def check_exported(model: BaseDetector, batches: Sequence[Tensor], provider: str) -> dict:
    """Detections of the provider compared with the CPU's, over batches of one image."""
    import onnx
    import onnxruntime

    onnxruntime.set_default_logger_severity(3)  # warnings are for its makers
    total = Agreement()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / 'detector.onnx'
        onnx.save(onnx_program(model), path)
        sessions = [
            onnxruntime.InferenceSession(str(path), providers=names)
            for names in ([CPU], [provider, CPU])
        ]
        for batch in batches:
            reference, other = (_detect(session, batch) for session in sessions)
            total.add(reference, other)
    return {'provider': provider} | vars(total)


def _detect(session: 'InferenceSession', batch: Tensor) -> RawDetections:
    size = np.array([batch.shape[2:]], np.float32)
    feeds = dict(zip(INPUTS, (batch.numpy(), size), strict=True))
    boxes, scores, labels, num = session.run(list(OUTPUTS), feeds)
    count = int(num[0])
    return RawDetections(boxes[0, :count], scores[0, :count], labels[0, :count])
