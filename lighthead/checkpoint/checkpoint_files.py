"""Checkpoint files that are safe to load and survive a killed process.

A file holds plain data (:mod:`lighthead.checkpoint.plain_data`) and is read by
:mod:`lighthead.weights.torch_files`, so that it cannot run code. It is written all or nothing
(:func:`lighthead.files.replacing`).
"""

import os
import re
import shutil
from pathlib import Path
from typing import Any

import torch

from lighthead.checkpoint.plain_data import tensor_bytes, to_plain
from lighthead.checkpoint.safetensors_files import load_safetensors
from lighthead.errors import UserError
from lighthead.files import replacing
from lighthead.weights.torch_files import PickledObjectsError, read_torch_file

SPARE_BYTES = 8 * 2**20
"""Left free next to a new checkpoint, for logs and the file system."""

_NUMBERED = re.compile(r'^(epoch|iter)_\d+\.pth$')


def save_checkpoint_file(obj: dict, path: str | os.PathLike) -> None:
    """Write ``obj`` as plain data to ``path``, all or nothing.

    Raises:
        UserError: if ``obj`` holds anything but plain data, or the disk is
            full or not writable. A file already at ``path`` stays as it was.
    """
    path = Path(path)
    plain = to_plain(obj)
    _check_free_space(path, tensor_bytes(plain))
    try:
        with replacing(path) as file:
            torch.save(plain, file)
    except (OSError, RuntimeError) as error:  # torch wraps a full disk in a RuntimeError
        raise UserError(
            f'{path} could not be written ({_first_line(error)}); {_kept(path)}.'
        ) from error


def load_checkpoint_file(
    path: str | os.PathLike, trust: bool = False, map_location: Any = 'cpu'
) -> dict:
    """Load a detector's checkpoint: a dict with ``meta`` and ``state_dict``.

    Args:
        trust: Whether to unpickle a foreign file, which may run code that it
            carries. Only for files whose maker you trust.

    Raises:
        UserError: if the file is missing, damaged, needs unpickling, or is no
            checkpoint of a model with its meta data.
    """
    path = Path(path)
    if path.suffix == '.safetensors' and path.is_file():
        return load_safetensors(path)
    checkpoint = _read(path, trust, map_location)
    if not isinstance(checkpoint, dict) or 'state_dict' not in checkpoint:
        raise UserError(
            f'{path} is not a checkpoint: it has no state_dict next to meta data (weights of a '
            "backbone alone belong into the backbone's init_cfg)."
        )
    if not isinstance(checkpoint['state_dict'], dict):
        raise UserError(f'{path} is not a checkpoint: its state_dict is no dict of weights.')
    if not isinstance(checkpoint.get('meta'), dict):
        raise UserError(
            f'{path} holds weights without meta data (classes, config): give a checkpoint that '
            "training wrote; weights of a backbone belong into the backbone's init_cfg."
        )
    return checkpoint


def find_latest_checkpoint(work_dir: str | os.PathLike) -> Path | None:
    """The newest epoch_N.pth or iter_N.pth in ``work_dir`` that loads, or None.

    Newest by the time written inside the file, so that copying a folder does
    not change the answer; files that are damaged are passed over.
    """
    work_dir = Path(work_dir)
    if not work_dir.is_dir():
        return None
    candidates = []
    for path in work_dir.iterdir():
        if _NUMBERED.match(path.name) and path.is_file():
            age = _age(path)
            if age is not None:
                candidates.append((age, path))
    for _, path in sorted(candidates, reverse=True):
        try:
            load_checkpoint_file(path)
        except UserError:
            continue
        return path
    return None


def _read(path: Path, trust: bool, map_location: Any) -> Any:
    if path.is_dir():
        raise UserError(f'{path} is a folder: name a checkpoint file (.pth) in it.')
    if not path.is_file():
        raise UserError(f'{path} does not exist: check the path of the checkpoint.')
    try:
        return read_torch_file(path, map_location)
    except PickledObjectsError as error:
        if not trust:
            raise UserError(
                f'{path} holds pickled objects ({error}), which can run code when they are loaded: '
                f'if you trust its maker, convert it once with `lighthead convert {path} '
                'converted.pth --trust-checkpoint`.'
            ) from None
    except (ValueError, OSError) as error:
        raise UserError(_damaged(path, error)) from error
    try:
        return torch.load(path, map_location=map_location, weights_only=False)
    except Exception as error:  # unpickling can fail in any way
        raise UserError(_damaged(path, error)) from error


def _damaged(path: Path, error: Exception) -> str:
    return (
        f'{path} is damaged or not a checkpoint ({_first_line(error)}): copy it again, or resume '
        'without a path, which takes the newest file that loads.'
    )


def _age(path: Path) -> tuple[str, int] | None:
    """(time, iteration) from the file's meta data, read without its tensors."""
    try:
        checkpoint = read_torch_file(path, quick=True)
        meta = checkpoint['meta']
        return str(meta['time']), int(meta['iter'])
    except Exception:  # whatever is wrong with the file, it is not one to resume from
        return None


def _check_free_space(path: Path, size: int) -> None:
    needed = int(size * 1.02) + SPARE_BYTES
    try:
        free = shutil.disk_usage(path.parent).free
    except OSError as error:
        raise UserError(f'{path} could not be written ({_first_line(error)}).') from error
    if free < needed:
        raise UserError(
            f'{path} needs {needed / 2**20:.0f} MiB, but only {free / 2**20:.0f} MiB are free: '
            f'make room on the disk and resume; {_kept(path)}.'
        )


def _kept(path: Path) -> str:
    return 'the file of that name is unchanged' if path.exists() else 'older checkpoints are kept'


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
