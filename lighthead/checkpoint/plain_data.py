"""Turns training state into data that ``torch.load(weights_only=True)`` reads back.

A checkpoint of pickled classes is code when it is loaded. Ours hold tensors,
numbers, strings, lists, tuples and dicts only; whatever else turns up is
refused with the path that leads to it, before a byte is written.
"""

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lighthead.errors import UserError

_SCALARS = (bool, int, float, str, bytes, type(None), torch.dtype)


def to_plain(value: Any, path: str = 'checkpoint') -> Any:
    """A copy of ``value`` made of plain data, with tensors on the CPU.

    NumPy arrays become tensors, NumPy scalars become numbers, and subclasses
    of dict, list and tuple lose their class. A module's state dict stays an
    ``OrderedDict`` because its ``_metadata`` holds the layers' versions.

    Args:
        path: Name of ``value``, for the error.

    Raises:
        UserError: on anything else; the sentence names its path.
    """
    if isinstance(value, Tensor):
        return _plain_tensor(value)
    if isinstance(value, np.ndarray) and value.dtype.kind in 'biuf':
        return torch.from_numpy(np.array(value))
    if isinstance(value, np.generic):
        value = value.item()
    if type(value) in _SCALARS:
        return value
    if isinstance(value, Mapping):
        return _plain_mapping(value, path)
    if isinstance(value, (list, tuple)):
        items = [to_plain(item, f'{path}[{index}]') for index, item in enumerate(value)]
        return tuple(items) if isinstance(value, tuple) else items
    for kind in (str, int, float):  # subclasses, e.g. string enums
        if isinstance(value, kind):
            return kind(value)
    raise UserError(
        f'{path} is a {type(value).__name__}: a checkpoint holds plain data only '
        '(tensors, numbers, strings, lists, dicts), so that loading it cannot run code.'
    )


def tensor_bytes(value: Any) -> int:
    """Bytes that the tensors (and strings) inside plain data take on disk."""
    if isinstance(value, Tensor):
        return value.numel() * value.element_size()
    if isinstance(value, (str, bytes)):
        return len(value)
    if isinstance(value, Mapping):
        return sum(tensor_bytes(item) for item in value.values())
    if isinstance(value, (list, tuple)):
        return sum(tensor_bytes(item) for item in value)
    return 0


def _plain_tensor(tensor: Tensor) -> Tensor:
    tensor = tensor.detach()
    if type(tensor) is not Tensor:
        tensor = tensor.as_subclass(Tensor)
    tensor = tensor.cpu()
    if tensor.untyped_storage().nbytes() > tensor.numel() * tensor.element_size():
        tensor = tensor.clone()  # a view: torch.save would write the whole storage
    return tensor


def _plain_mapping(mapping: Mapping, path: str) -> dict:
    metadata = getattr(mapping, '_metadata', None)
    plain = {} if metadata is None else OrderedDict()
    for key, item in mapping.items():
        if isinstance(key, np.integer):
            key = int(key)
        if type(key) not in (str, int, bool):
            raise UserError(f'{path} has the key {key!r}: only strings and integers are plain.')
        plain[key] = to_plain(item, f'{path}.{key}')
    if metadata is not None:
        plain._metadata = to_plain(OrderedDict(metadata), f'{path}._metadata')  # type: ignore[attr-defined]  # torch's own
    return plain
