"""From a name or a file to what :class:`lighthead.Detector` runs.

Neither torch nor mmdet is imported here, so that an exported file runs without them.
"""

import os
from typing import Any

from lighthead.inference.preprocess import Preprocess
from lighthead.inference.runtimes.backend import OpenedModel
from lighthead.inference.runtimes.exported import is_exported, open_exported


def local_file(path: str | os.PathLike) -> str | os.PathLike:
    """The file that a model's name or address means; it may be fetched."""
    if is_exported(path) and ':' not in os.fspath(path):
        return path
    # Only names, addresses and checkpoints need the zoo, which reads checkpoints with torch.
    from lighthead.zoo import locate_model

    return locate_model(path)


def open_model(
    path: str | os.PathLike,
    device: Any,
    backend: str | None,
    precision: str | None,
    threads: int | None,
    trust: bool,
) -> OpenedModel:
    """A file with its runtime; the arguments are those of :class:`lighthead.Detector`.

    Raises:
        UserError: it cannot be used.
    """
    if is_exported(path):
        device = 'cpu' if device is None else device
        runtime, meta = open_exported(path, backend, device, precision, threads, trust)
        iou_thr = meta.settings.final_iou if meta.settings else 0.5
        preprocess = Preprocess.from_settings(meta.preprocess)
        return OpenedModel(
            runtime, preprocess, list(meta.classes), list(meta.category_ids), iou_thr
        )
    # Only a checkpoint needs torch and mmdet, which take seconds to import.
    from lighthead.inference.runtimes.checkpoint import open_checkpoint

    return open_checkpoint(path, device, backend, precision, threads, trust)
