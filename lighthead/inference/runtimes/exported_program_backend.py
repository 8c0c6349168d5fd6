"""A file of torch.export behind the detector."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torchvision  # noqa: F401  (the file calls torchvision::nms)

from lighthead.deploy.metadata import METADATA_FILE, ExportMeta
from lighthead.errors import UserError
from lighthead.inference.runtimes.backend import RawDetections
from lighthead.inference.runtimes.files import (
    check_file_precision,
    contiguous_batch,
    refusing_failures,
    sizes_array,
    unpad,
)


class ExportedProgramBackend:
    """Runs a .pt2 file in torch, without lighthead's model code.

    Args:
        path: The file.
        precision: ``'fp32'``.
        threads: Of torch, for the whole process.

    Attributes:
        least_side: Pixels that a side of a batch must have. torch.export fixes what has one
            pixel, so that no map may be that small: with a level of stride 64, 65 pixels.
    """

    device = torch.device('cpu')
    best_batch_size = 1  # others were not measured
    make_batch = staticmethod(contiguous_batch)

    def __init__(
        self, path: Path, precision: str | None = None, threads: int | None = None
    ) -> None:
        extra = {METADATA_FILE: ''}
        try:
            program = torch.export.load(path, extra_files=extra)
        except Exception as error:  # whatever is wrong with the archive
            raise UserError(
                f'{path} cannot be read by torch.export ({str(error).splitlines()[0][:200]}): '
                'export the checkpoint again, with the torch that reads it.'
            ) from error
        self.path = path
        with refusing_failures(path):
            strings = json.loads(extra[METADATA_FILE] or '{}')
        self.meta = ExportMeta.from_strings(strings if isinstance(strings, dict) else {}, path)
        self.precision = check_file_precision(self.meta, precision, ('fp32',), path, 'torch')
        if threads is not None:
            torch.set_num_threads(threads)
        self.least_side = least_side(program)
        self.module = program.module()

    @torch.inference_mode()
    def __call__(
        self, batch: np.ndarray, sizes: Sequence[tuple[int, int]], score_thr: float = 0.0
    ) -> list[RawDetections]:
        """See :class:`lighthead.inference.runtimes.backend.Backend`; the file's threshold holds."""
        side = min(batch.shape[2:])
        if side < self.least_side:
            raise UserError(
                f'{self.path} cannot take a batch of {batch.shape[2]} x {batch.shape[3]} pixels: '
                f'each side must have {self.least_side} or more; an ONNX file takes smaller ones.'
            )
        with refusing_failures(self.path):
            pixels = torch.as_tensor(batch).contiguous()
            outputs = self.module(pixels, torch.from_numpy(sizes_array(sizes)))
        arrays = [values.numpy() for values in outputs]
        boxes, scores, labels, num = arrays
        return unpad(boxes, scores, labels, num, len(self.meta.classes), self.path)


def least_side(program: torch.export.ExportedProgram) -> int:
    """The least height and width that a program was exported for."""
    (images,) = (
        n.meta['val'] for n in program.graph.nodes if n.op == 'placeholder' and n.name == 'images'
    )
    bounds = [
        program.range_constraints.get(side.node.expr)
        for side in images.shape[2:]
        if isinstance(side, torch.SymInt)
    ]
    return max((int(bound.lower) for bound in bounds if bound is not None), default=1)
