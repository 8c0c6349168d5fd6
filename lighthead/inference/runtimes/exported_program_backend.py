"""A file of torch.export behind the detector."""

import json
from collections.abc import Sequence
from pathlib import Path

import torch
import torchvision  # noqa: F401  (the file calls torchvision::nms)
from torch import Tensor

from lighthead.deploy.metadata import ExportMeta
from lighthead.errors import UserError
from lighthead.inference.runtimes.exported import check_file_precision, sizes_array, unpad
from lighthead.inference.runtimes.torch_backend import RawDetections

METADATA_FILE = 'lighthead.json'
"""Name of the extra file inside the archive."""


class ExportedProgramBackend:
    """Runs a .pt2 file in torch, without lighthead's model code.

    Args:
        path: The file.
        precision: ``'fp32'``.
        threads: Of torch, for the whole process.
    """

    device = torch.device('cpu')
    channels_last = False

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
        self.meta = ExportMeta.from_strings(json.loads(extra[METADATA_FILE] or '{}'), path)
        self.precision = check_file_precision(self.meta, precision, ('fp32',), path, 'torch')
        if threads is not None:
            torch.set_num_threads(threads)
        self.module = program.module()

    @torch.inference_mode()
    def __call__(self, batch: Tensor, sizes: Sequence[tuple[int, int]]) -> list[RawDetections]:
        """See :class:`lighthead.inference.runtimes.torch_backend.Backend`."""
        found = self.module(batch.contiguous(), torch.from_numpy(sizes_array(sizes)))
        return unpad(*(values.numpy() for values in found))
