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
    """

    device = torch.device('cpu')
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
        self.module = program.module()

    @torch.inference_mode()
    def __call__(self, batch: np.ndarray, sizes: Sequence[tuple[int, int]]) -> list[RawDetections]:
        """See :class:`lighthead.inference.runtimes.backend.Backend`."""
        with refusing_failures(self.path):
            pixels = torch.as_tensor(batch).contiguous()
            outputs = self.module(pixels, torch.from_numpy(sizes_array(sizes)))
        arrays = [values.numpy() for values in outputs]
        return unpad(*arrays, len(self.meta.classes), self.path)
