"""Exported files as backends: which file wants which runtime."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from lighthead.deploy.metadata import ExportMeta
from lighthead.errors import UserError
from lighthead.inference.runtimes.backend import (
    Backend,
    check_backend,
    check_threads,
)
from lighthead.inference.runtimes.ncnn_backend import NcnnBackend
from lighthead.inference.runtimes.onnxruntime_backend import OnnxRuntimeBackend
from lighthead.inference.runtimes.openvino_backend import OpenVinoBackend

SUFFIXES = {'.onnx': 'onnxruntime', '.xml': 'openvino', '.param': 'ncnn', '.pt2': 'torch'}
"""Which backend runs a file, where none is named."""
READERS = {
    '.onnx': ('onnxruntime', 'openvino'),
    '.xml': ('openvino',),
    '.param': ('ncnn',),
    '.pt2': ('torch',),
}
"""Which backends can."""
FILE_BACKENDS: dict[str, Callable[..., 'FileBackend']] = {
    'onnxruntime': OnnxRuntimeBackend,
    'openvino': OpenVinoBackend,
    'ncnn': NcnnBackend,
}
"""Those that need no torch."""
DEVICES = ('cpu', 'cuda', 'mps', 'xpu', 'npu')
"""Types of devices that torch knows; files run on the first."""


class FileBackend(Backend, Protocol):
    """Runs an exported file."""

    meta: ExportMeta
    """What the file says about itself."""


def is_exported(path: str | os.PathLike) -> bool:
    """Whether ``path`` has the suffix of an exported file (.onnx, .xml, .param, .pt2)."""
    return Path(path).suffix.lower() in SUFFIXES


def open_exported(
    path: str | os.PathLike,
    backend: str | None = None,
    device: object = 'cpu',
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
    check_threads(threads)
    if not path.is_file():
        raise UserError(f'{path} is no file: give one that tools/export.py wrote.')
    suffix = path.suffix.lower()
    name = check_backend(backend or SUFFIXES[suffix])
    if name not in READERS[suffix]:
        raise UserError(
            f'The backend {name!r} cannot run {path}: choose from {", ".join(READERS[suffix])}.'
        )
    kind = str(device).partition(':')[0]
    if kind not in DEVICES:
        raise UserError(f"There is no device {device!r}: choose 'cpu'.")
    if kind != 'cpu':
        raise UserError(f"{path} was exported for the CPU: choose device='cpu'.")
    if suffix == '.pt2' and not trust:
        raise UserError(
            f'torch.export unpickles {path}, which can run code: if you trust its maker, give '
            'trust=True (--trust-checkpoint), or export to ONNX.'
        )
    opened = _class_of(name)(path, precision=precision, threads=threads)
    return opened, opened.meta


def _class_of(name: str) -> Callable[..., FileBackend]:
    if name == 'torch':  # the only one that needs torch
        from lighthead.inference.runtimes.exported_program_backend import ExportedProgramBackend

        return ExportedProgramBackend
    return FILE_BACKENDS[name]
