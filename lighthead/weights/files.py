"""Read a file of weights without ever executing what it contains."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import safe_open
from torch import Tensor

from lighthead.errors import UserError
from lighthead.weights.torch_files import PickledObjectsError, read_torch_file

WRAPPERS = ('state_dict', 'model', 'model_state_dict', 'net')
"""Keys under which training codes store a state dict."""
MAX_WRAPPERS = 5
"""How deep it is looked for."""
SAFETENSORS_META = 'lighthead'
"""Key of the meta data that lighthead writes into safetensors files: a JSON object."""
PREFIXES = ('module.', 'backbone.', 'model.', 'net.')
"""What training codes put in front of a backbone's names."""


@dataclass(frozen=True)
class WeightFile:
    """Tensors of a backbone, by its own names, and what the file says of itself.

    ``tensors`` are all of the file, by the file's names.
    """

    path: Path
    state_dict: dict[str, Tensor]
    meta: dict[str, Any]
    tensors: dict[str, Tensor]


def read_weight_file(path: Path) -> WeightFile:
    """Read a ``.safetensors`` file or one of ``torch.save``.

    Raises:
        UserError: the file is damaged, holds more than plain data, or has no
            tensors.
    """
    content, meta = read_safetensors(path) if path.suffix == '.safetensors' else _read_torch(path)
    meta |= meta.pop(SAFETENSORS_META, {}) if path.suffix == '.safetensors' else {}
    tensors = unwrap(content)
    state_dict = strip_prefixes(tensors)
    if not state_dict:
        raise UserError(
            f'{path}: there are no weights in this file; a state dict is expected, bare or '
            f'under one of the keys {", ".join(WRAPPERS)}.'
        )
    return WeightFile(path, state_dict, meta, tensors)


def read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and metadata of a safetensors file; the JSON of lighthead in it becomes a dict.

    Raises:
        UserError: it is damaged.
    """
    try:
        with safe_open(str(path), framework='pt') as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            strings = dict(file.metadata() or {})
    except Exception as error:  # whatever is wrong with it, it is the file's fault
        raise UserError(
            f'{path} is damaged or no safetensors file ({str(error)[:200]}).'
        ) from error
    try:
        own = json.loads(strings.get(SAFETENSORS_META, '{}'))
    except (ValueError, RecursionError):
        own = None
    if not isinstance(own, dict):
        raise UserError(f'{path} is damaged: it comes without meta data that can be read.')
    return tensors, {**strings, SAFETENSORS_META: own}


def _read_torch(path: Path) -> tuple[Any, dict[str, Any]]:
    try:
        content = read_torch_file(path)
    except PickledObjectsError as error:
        raise UserError(
            f'{path}: this file holds Python objects besides weights ({error}) and would run code '
            'when loaded, so it is refused; if you trust its source, save its state dict alone '
            'with torch.save(state_dict, path).'
        ) from error
    except (ValueError, OSError) as error:
        raise UserError(
            f'{path}: not a whole file of weights ({error}); copy or download it again.'
        ) from error
    meta = content.get('meta') if isinstance(content, Mapping) else None
    return content, dict(meta) if isinstance(meta, Mapping) else {}


def unwrap(content: Any) -> dict[str, Tensor]:
    """The tensors of a state dict, whatever it is wrapped in."""
    for _ in range(MAX_WRAPPERS):  # one may hold itself
        if not isinstance(content, Mapping):
            break
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
