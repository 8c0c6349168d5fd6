"""The whole detector as a file of torch.export (.pt2).

It calls ``torchvision::nms``, the one operator that is not torch's own: whoever
loads the file imports torchvision first.
"""

import json
from pathlib import Path

import torch
from mmdet.models.detectors import BaseDetector
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from lighthead.deploy.export_onnx import example_inputs, quiet
from lighthead.deploy.exportable_suppression import exportable_detector
from lighthead.deploy.metadata import METADATA_FILE, ExportMeta
from lighthead.deploy.stages import DetectorStages


def torch_program(model: BaseDetector) -> ExportedProgram:
    """Trace a detector for batches of any number and size."""
    module = _PlainOutputs(exportable_detector(model)).cpu()
    shapes = ({0: Dim.DYNAMIC, 2: Dim.DYNAMIC, 3: Dim.DYNAMIC}, {0: Dim.DYNAMIC})
    with quiet():
        return torch.export.export(module, example_inputs(), dynamic_shapes=shapes, strict=False)


def save_torch(program: ExportedProgram, meta: ExportMeta, path: Path) -> None:
    """Write it with its metadata inside."""
    extra = {METADATA_FILE: json.dumps(meta.to_strings())}
    torch.export.save(program, path, extra_files=extra)


class _PlainOutputs(nn.Module):
    """A file that names no class of lighthead's can be loaded without it."""

    def __init__(self, detector: DetectorStages) -> None:
        super().__init__()
        self.detector = detector

    def forward(self, images: Tensor, sizes: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        outputs = self.detector(images, sizes)
        return outputs.boxes, outputs.scores, outputs.labels, outputs.num
