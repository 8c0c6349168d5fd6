"""Exported files as backends: which file wants which runtime, and what travels in it."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from lighthead.deploy.metadata import ExportMeta
from lighthead.errors import UserError
from lighthead.inference.runtimes.torch_backend import Backend, RawDetections, check_backend

SUFFIXES = {'.onnx': 'onnxruntime', '.xml': 'openvino', '.pt2': 'torch'}
"""Which backend runs a file, where none is named."""
READERS = {
    '.onnx': ('onnxruntime', 'openvino'),
    '.xml': ('openvino',),
    '.pt2': ('torch',),
}
"""Which backends can."""


def is_exported(path: str | os.PathLike) -> bool:
    """Whether a file is none of a checkpoint's, by its suffix."""
    return Path(path).suffix.lower() in SUFFIXES


def open_exported(
    path: str | os.PathLike,
    backend: str | None = None,
    device: torch.device | str = 'cpu',
    precision: str | None = None,
    threads: int | None = None,
    trust: bool = False,
) -> tuple[Backend, ExportMeta]:
    """Load an exported file into its runtime.

    Args:
        path: What tools/export.py wrote.
        backend: See :data:`READERS`; None chooses by the suffix.
        precision: None is the file's own.
        threads: CPU threads; None leaves it to the runtime.
        trust: Whether to load a .pt2 file, which torch.export unpickles: it can run code.

    Raises:
        UserError: the file or an argument cannot be used, or a package is missing.
    """
    path = Path(path)
    if path.is_dir() or not path.is_file():
        raise UserError(f'{path} is no file: give one that tools/export.py wrote.')
    suffix = path.suffix.lower()
    name = check_backend(backend or SUFFIXES[suffix])
    if name not in READERS[suffix]:
        raise UserError(
            f'The backend {name!r} cannot run {path}: choose from {", ".join(READERS[suffix])}.'
        )
    if torch.device(device).type != 'cpu':
        raise UserError(f"{path} was exported for the CPU: choose device='cpu'.")
    if suffix == '.pt2' and not trust:
        raise UserError(
            f'torch.export unpickles {path}, which can run code: if you trust its maker, give '
            'trust=True (--trust-checkpoint), or export to ONNX.'
        )
    if name == 'onnxruntime':
        from lighthead.inference.runtimes.onnxruntime_backend import OnnxRuntimeBackend as Chosen
    elif name == 'openvino':
        from lighthead.inference.runtimes.openvino_backend import OpenVinoBackend as Chosen
    else:
        from lighthead.inference.runtimes.exported_program_backend import (
            ExportedProgramBackend as Chosen,
        )
    backend = Chosen(path, precision=precision, threads=threads)
    return backend, backend.meta


def missing_extra(package: str, extra: str) -> UserError:
    """The sentence for a package that is not installed."""
    return UserError(
        f"{package} is not installed: pip install 'lighthead[{extra}]', or make setup "
        f'EXTRAS=lite,{extra}.'
    )


def check_file_precision(
    meta: ExportMeta, precision: str | None, possible: Sequence[str], path: Path, backend: str
) -> str:
    """The precision to compute in: the file's own for None.

    Raises:
        UserError: the runtime has no such precision for this file.
    """
    if precision is None:
        return meta.precision
    if meta.precision == 'int8':
        possible = ('int8',)
    if precision not in possible:
        raise UserError(
            f'precision={precision!r} is not possible for {path} with {backend}: choose from '
            f'{", ".join(possible)}.'
        )
    return precision


def unpad(
    boxes: np.ndarray, scores: np.ndarray, labels: np.ndarray, num: np.ndarray
) -> list[RawDetections]:
    """The padded outputs of a file as detections per image."""
    return [
        RawDetections(boxes[i, :count], scores[i, :count], labels[i, :count])
        for i, count in enumerate(num.tolist())
    ]


def sizes_array(sizes: Sequence[tuple[int, int]]) -> np.ndarray:
    """True sizes as the files want them: float32 (B, 2)."""
    return np.asarray(sizes, np.float32).reshape(-1, 2)
