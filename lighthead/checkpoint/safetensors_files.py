"""Detectors as safetensors files: weights in half precision, meta data as JSON.

safetensors stores tensors and strings and nothing that could run.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor

from lighthead.errors import UserError
from lighthead.files import write_bytes_file
from lighthead.weights.files import SAFETENSORS_META, read_safetensors


def save_safetensors(checkpoint: Mapping, path: str | os.PathLike, half: bool = True) -> None:
    """Write a checkpoint's weights and meta data, all or nothing.

    Args:
        checkpoint: ``meta`` (JSON values) and ``state_dict``.
        half: Whether floating-point weights are rounded to fp16.

    Raises:
        UserError: a weight does not fit fp16, or the file cannot be written.
    """
    weights = {name: _stored(name, value, half) for name, value in checkpoint['state_dict'].items()}
    content = safetensors.torch.save(weights, {SAFETENSORS_META: json.dumps(checkpoint['meta'])})
    try:
        write_bytes_file(content, path)
    except OSError as error:
        raise UserError(f'{path} could not be written ({error.strerror}).') from error


def load_safetensors(path: str | os.PathLike) -> dict:
    """Read a file of :func:`save_safetensors`; fp16 weights become float32.

    Raises:
        UserError: it is damaged, or has no meta data of lighthead.
    """
    weights, strings = read_safetensors(Path(path))
    meta = strings[SAFETENSORS_META]
    if not meta:
        raise UserError(
            f'{path} holds weights without meta data of lighthead (classes, config): weights of a '
            "backbone belong into the backbone's init_cfg."
        )
    return dict(meta=meta, state_dict={name: _loaded(value) for name, value in weights.items()})


def _stored(name: str, value: Tensor, half: bool) -> Tensor:
    value = value.detach().cpu().contiguous()
    if not half or value.dtype != torch.float32:
        return value
    rounded = value.half()
    if not rounded.isfinite().all():
        raise UserError(f'{name} has values that fp16 cannot hold: write float32 (half=False).')
    return rounded


def _loaded(value: Tensor) -> Tensor:
    return value.float() if value.dtype == torch.float16 else value
