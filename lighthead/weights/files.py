"""Read a file of weights without ever executing what it contains."""

import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lighthead.errors import UserError

WRAPPERS = ('state_dict', 'model', 'model_state_dict', 'net')
"""Keys under which training codes store a state dict."""
FOREIGN = ('Unsupported global', 'Unsupported class', 'Trying to')
"""What torch says of a pickle that holds more than plain data; else it is damaged."""
PREFIXES = ('module.', 'backbone.', 'model.', 'net.')
"""What training codes put in front of a backbone's names."""


@dataclass(frozen=True)
class WeightFile:
    """Tensors of a backbone, by its own names, and what the file says of itself."""

    path: Path
    state_dict: dict[str, Tensor]
    meta: dict[str, Any]


def read_weight_file(path: Path) -> WeightFile:
    """Read a ``.safetensors`` file or one of ``torch.save``.

    Raises:
        UserError: the file is damaged, holds more than plain data, or has no
            tensors.
    """
    content, meta = _read_safetensors(path) if path.suffix == '.safetensors' else _read_torch(path)
    state_dict = strip_prefixes(unwrap(content))
    if not state_dict:
        raise UserError(
            f'{path}: there are no weights in this file; a state dict is expected, bare or '
            f'under one of the keys {", ".join(WRAPPERS)}.'
        )
    return WeightFile(path, state_dict, meta)


def _read_safetensors(path: Path) -> tuple[Any, dict[str, Any]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework='pt') as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return tensors, dict(file.metadata() or {})
    except (SafetensorError, OSError) as error:
        raise UserError(f'{path}: not a whole safetensors file ({error}).') from error


def _read_torch(path: Path) -> tuple[Any, dict[str, Any]]:
    try:
        content = torch.load(path, map_location='cpu', weights_only=True)
    except pickle.UnpicklingError as error:
        if not any(sign in str(error) for sign in FOREIGN):
            raise UserError(_damaged(path)) from error
        raise UserError(
            f'{path}: this file holds Python objects besides weights and would run code when '
            'loaded, so it is refused; if you trust its source, save its state dict alone with '
            'torch.save(state_dict, path).'
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        raise UserError(_damaged(path)) from error
    meta = content.get('meta') if isinstance(content, Mapping) else None
    return content, dict(meta) if isinstance(meta, Mapping) else {}


def _damaged(path: Path) -> str:
    return (
        f'{path}: not a whole file of weights (damaged, cut short, or of another kind); '
        'copy or download it again.'
    )


def unwrap(content: Any) -> dict[str, Tensor]:
    """The tensors of a state dict, whatever it is wrapped in."""
    while isinstance(content, Mapping):
        inner = next((content[k] for k in WRAPPERS if isinstance(content.get(k), Mapping)), None)
        if inner is None:
            return {str(k): v for k, v in content.items() if isinstance(v, Tensor)}
        content = inner
    return {}


def strip_prefixes(state_dict: dict[str, Tensor]) -> dict[str, Tensor]:
    """Only the backbone's tensors, without the names of the modules around it.

    ``backbone.`` selects wherever it occurs; the others only where most of the
    names start with them.
    """
    stripping = True
    while stripping:
        stripping = False
        for prefix in PREFIXES:
            inner = {
                k.removeprefix(prefix): v for k, v in state_dict.items() if k.startswith(prefix)
            }
            if inner and (prefix == 'backbone.' or 2 * len(inner) > len(state_dict)):
                state_dict, stripping = inner, True
    return state_dict
