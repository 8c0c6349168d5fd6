"""The whole detector as a file of torch.export (.pt2).

It calls ``torchvision::nms``, the one operator that is not torch's own: whoever
loads the file imports torchvision first.
"""

import json
from pathlib import Path

import torch
from mmdet.models.detectors import BaseDetector
from torch.export import Dim, ExportedProgram

from lighthead.export.module import ExportableDetector
from lighthead.export.onnx_format import example_inputs, quiet
from lighthead.inference.backend_exported_program import METADATA_FILE
from lighthead.inference.metadata import ExportMeta


def torch_program(model: BaseDetector) -> ExportedProgram:
    """Trace a detector for batches of any number and size."""
    module = ExportableDetector(model, 'torch').cpu()
    shapes = ({0: Dim.AUTO, 2: Dim.AUTO, 3: Dim.AUTO}, {0: Dim.AUTO})
    with quiet():
        return torch.export.export(module, example_inputs(), dynamic_shapes=shapes, strict=False)


def save_torch(program: ExportedProgram, meta: ExportMeta, path: Path) -> None:
    """Write it with its metadata inside."""
    extra = {METADATA_FILE: json.dumps(meta.to_strings())}
    torch.export.save(program, path, extra_files=extra)
