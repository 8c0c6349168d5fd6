"""Configs as plain data: what a checkpoint carries instead of Python text.

mmengine stores a config as Python source, executes it to read it back, and
imports whatever a dotted ``type`` names. Here a config travels as JSON and
comes back through an allow-list: registered names without dots, no imports, no
templates, no inheritance, and none of the few values that mmdet or mmcv hand
to ``eval``. Tuples survive the journey, because mmdet and mmcv test for them.
"""

import json
from collections.abc import Collection, Iterable
from typing import Any

import mmdet.registry
import mmengine.registry
from mmengine.config import Config, ConfigDict
from mmengine.registry import Registry

from lighthead.errors import UserError

MAX_CHARS = 4_000_000
MAX_DEPTH = 40
MAX_NODES = 200_000

_TUPLE = '__tuple__'
_KNOWN_SCOPES = ('mmdet', 'mmengine', 'mmcv')
_RESERVED_KEYS = ('filename', 'text', 'pretty_text', 'env_variables')
_FORBIDDEN_KEYS = {
    '_base_': 'inherits from a file, which would be executed',
    '_delete_': 'edits another config',
    '_scope_': 'imports a package',
    'teacher_config': 'names a file that would be executed',
    'teacher_ckpt': 'names a file that would be unpickled',
    'warp_mode': 'is evaluated as Python',
}
_NAME_KEYS = ('type', 'runner_type', 'ema_type', 'constructor')
"""Keys whose strings mmengine looks up in a registry."""
_OTHER_TYPES = {
    'nms': ('nms', 'soft_nms'),
    'clip_grad': ('norm', 'value'),
    'roi_layer': ('RoIAlign', 'RoIPool', 'PSRoIAlign'),
}
"""Types that are no registered names, by the key of the dict that they stand in."""


def config_to_json(cfg: Config | dict) -> str:
    """The whole config as JSON text; tuples are marked, so that they come back as tuples.

    Raises:
        UserError: if a value is not plain data (a class, a function, an
            array); the sentence names its key.
    """
    data = cfg.to_dict() if isinstance(cfg, (Config, ConfigDict)) else cfg
    return json.dumps(_encode(data, 'config'), ensure_ascii=False)


def config_from_json(text: str) -> Config:
    """The config that :func:`config_to_json` wrote, checked and never executed.

    Raises:
        UserError: if the text is no JSON, is too large, or asks for anything
            that the allow-list does not have; the sentence names the key.
    """
    data = _parse(text)
    _check_imports(data)
    names = registered_names(_all_registries())
    return Config({k: _decode_item(k, value, names, 'config', '') for k, value in data.items()})


def model_config_from_json(text: str) -> ConfigDict:
    """The ``model`` of a config, ready to be built and given a checkpoint's weights.

    Only names of models and their parts are allowed. Every ``init_cfg`` and
    ``pretrained`` is taken out: the weights come from the checkpoint, nothing
    is fetched.

    Raises:
        UserError: as :func:`config_from_json`, or if there is no model in it.
    """
    model = _parse(text).get('model')
    if not isinstance(model, dict):
        raise UserError('The config in the checkpoint has no model: it cannot be rebuilt.')
    registries = [
        getattr(module, name)
        for module in (mmdet.registry, mmengine.registry)
        for name in ('MODELS', 'TASK_UTILS')
    ]
    decoded = _decode(_without_init(model), registered_names(registries), 'model', 'model')
    return ConfigDict(decoded)


def registered_names(registries: Iterable[Registry]) -> frozenset[str]:
    """Names that can be built now: those of the registries after they imported their own."""
    names: set[str] = set()
    for registry in registries:
        registry.import_from_location()
        names.update(registry.module_dict)
    return frozenset(names)


def _all_registries() -> list[Registry]:
    modules = (mmdet.registry, mmengine.registry)
    return [r for module in modules for r in vars(module).values() if isinstance(r, Registry)]


def _encode(value: Any, path: str) -> Any:
    if type(value) in (bool, int, float, str, type(None)):
        return value
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str):
                raise UserError(f'{path} has the key {key!r}: keys of a config are strings.')
        return {key: _encode(item, f'{path}.{key}') for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        items = [_encode(item, f'{path}[{index}]') for index, item in enumerate(value)]
        return {_TUPLE: items} if isinstance(value, tuple) else items
    raise UserError(
        f'{path} is a {type(value).__name__}, not plain data: name what is registered by its '
        'string, so that the config can travel in the checkpoint.'
    )


def _parse(text: str) -> dict:
    if not isinstance(text, str) or len(text) > MAX_CHARS:
        raise UserError(f'The config in the checkpoint is no text of at most {MAX_CHARS} letters.')
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f'The config in the checkpoint is not valid JSON ({error}).') from error
    if not isinstance(data, dict):
        raise UserError('The config in the checkpoint is not a JSON object.')
    for key in _RESERVED_KEYS:
        if key in data:
            raise UserError(f'The config in the checkpoint has {key}, which mmengine reserves.')
    _check_size(data)
    return data


def _check_size(data: dict) -> None:
    nodes, level = 0, [data]
    for _ in range(MAX_DEPTH):
        nodes += len(level)
        if nodes > MAX_NODES:
            raise UserError(f'The config in the checkpoint has more than {MAX_NODES} values.')
        level = [child for node in level for child in _children(node)]
        if not level:
            return
    raise UserError(f'The config in the checkpoint is nested deeper than {MAX_DEPTH} levels.')


def _children(node: Any) -> Collection:
    if isinstance(node, dict):
        return node.values()
    return node if isinstance(node, list) else ()


def _check_imports(data: dict) -> None:
    imports = data.get('custom_imports')
    if imports is not None:
        named = imports.get('imports') if isinstance(imports, dict) else imports
        if named not in ('lighthead', ['lighthead'], {_TUPLE: ['lighthead']}):
            raise UserError(f'custom_imports={named!r} is refused: only lighthead may be imported.')
    scope = data.get('default_scope')
    if scope not in (None, 'mmdet', 'mmengine'):
        raise UserError(f'default_scope={scope!r} is refused: it would import that package.')


def _decode(value: Any, names: frozenset[str], path: str, key: str) -> Any:
    """Check a value and put tuples back; ``key`` is the nearest dict key above it."""
    if isinstance(value, dict):
        if _TUPLE in value:
            if len(value) > 1 or not isinstance(value[_TUPLE], list):
                raise UserError(f'{path} is no properly written tuple.')
            return tuple(_decode_list(value[_TUPLE], names, path, key))
        return {name: _decode_item(name, item, names, path, key) for name, item in value.items()}
    if isinstance(value, list):
        return _decode_list(value, names, path, key)
    if isinstance(value, str) and ('{{' in value or '}}' in value):
        raise UserError(f'{path}={value!r} is refused: templates are not plain data.')
    return value


def _decode_list(values: list, names: frozenset[str], path: str, key: str) -> list:
    return [_decode(v, names, f'{path}[{index}]', key) for index, v in enumerate(values)]


def _decode_item(name: str, item: Any, names: frozenset[str], path: str, key: str) -> Any:
    path = f'{path}.{name}'
    if name in _FORBIDDEN_KEYS and item is not None:
        raise UserError(f'{path} is refused: it {_FORBIDDEN_KEYS[name]}.')
    if name in _NAME_KEYS and item is not None:
        return _registered(item, names, path, key)
    return _decode(item, names, path, name)


def _registered(item: Any, names: frozenset[str], path: str, key: str) -> str:
    if not isinstance(item, str):
        raise UserError(f'{path}={item!r} is refused: it must be the name of something registered.')
    scope, _, bare = item.rpartition('.')
    if (not scope or scope in _KNOWN_SCOPES) and bare in names:
        return bare
    if item in _OTHER_TYPES.get(key, ()):
        return item
    raise UserError(
        f'{path}={item!r} is refused: only names that lighthead, mmdet or mmengine registered are '
        'built from a checkpoint, and nothing is imported for it.'
    )


def _without_init(node: Any) -> Any:
    if isinstance(node, dict):
        kept = {k: v for k, v in node.items() if k not in ('init_cfg', 'pretrained')}
        return {key: _without_init(value) for key, value in kept.items()}
    if isinstance(node, list):
        return [_without_init(item) for item in node]
    return node
