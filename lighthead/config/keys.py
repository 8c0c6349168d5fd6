"""Keys of a config that nothing would read: they are refused, with the nearest known ones.

mmengine accepts any key in ``--cfg-options``, adds it to the config, and goes
on: ``batch_size=4`` changes nothing. Whether something reads a key is known
for the top level (the runner's arguments), for dicts with a ``type`` (the
arguments of that class), and for data loaders. In other dicts a new key is
refused, apart from those of :data:`OPEN`.
"""

import difflib
import functools
import inspect
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import mmdet.registry
import mmengine.registry
from mmengine.config import Config
from mmengine.registry import Registry
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from lighthead.errors import UserError

TOP_LEVEL = frozenset(inspect.signature(Runner.__init__).parameters) - {'self', 'cfg'} | {
    'custom_imports',
    'find_unused_parameters',
    'images_per_step',
    'model_wrapper_cfg',
    'runner_type',
    'tta_model',
    'tta_pipeline',
}
"""Keys of the top level that the runner, mmdet's tools or lighthead read."""
INSTEAD = {
    'batch_size': 'train_dataloader.batch_size (--batch-size)',
    'classes': 'the classes of the annotation file (--data-root)',
    'data_root': '--data-root',
    'epochs': 'train_cfg.max_epochs (--epochs)',
    'img_scale': '--img-scale',
    'lr': 'optim_wrapper.optimizer.lr (--lr)',
    'max_epochs': 'train_cfg.max_epochs (--epochs, which adapts the schedule)',
    'max_steps': 'train_cfg.max_steps',
    'num_classes': 'model.roi_head.bbox_head.num_classes (--data-root sets it)',
    'num_workers': 'train_dataloader.num_workers (--workers)',
    'scale': '--img-scale',
    'train_pipeline': 'train_dataloader.dataset.pipeline',
    'test_pipeline': 'val_dataloader.dataset.pipeline and test_dataloader.dataset.pipeline',
    'workers': '--workers',
}
"""What to set in place of variables that a config file uses to write itself."""
MODELS = ('model', 'tta_model')
LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')
LOADER_KEYS = frozenset(inspect.signature(DataLoader.__init__).parameters) - {'self'} | {
    'num_batch_per_epoch',
    'type',
}
OPEN = (
    *('backend_args', 'clip_grad', 'custom_keys', 'data_prefix', 'default_hooks', 'dist_cfg'),
    *('env_cfg', 'file_client_args', 'filter_cfg', 'meta', 'metainfo', 'mp_cfg', 'override'),
    *('paramwise_cfg', 'randomness'),
)
"""Dicts whose keys are names that the user chooses, or that libraries read in places."""
NOT_CLASSES = ('clip_grad', 'nms', 'roi_layer')
"""Dicts whose ``type`` is no registered class."""
OTHERS_INSIDE = ('Albu',)
"""Classes whose inner ``type`` names are another library's."""
ADDED = {
    # what mmengine takes out of a dict before it builds the class
    'hook': ('priority',),
    'optim_wrapper': ('constructor', 'paramwise_cfg'),
    'parameter scheduler': ('convert_to_iter_based',),
    'weight initializer': ('layer', 'override'),
}
OWN_PACKAGES = ('lighthead', 'mmdet', 'mmengine', 'mmcv', 'torch')
"""Classes of these hand ``**kwargs`` on to their base; others may do anything with them."""


def check_option_keys(cfg: Config, options: Iterable[str]) -> None:
    """Refuse the first dotted key that nothing would read.

    Raises:
        UserError: it names the key and those that are near.
    """
    for option in options:
        _check_option(cfg, option)


def _check_option(cfg: Config, option: str) -> None:
    names = option.split('.')
    if names[0] not in TOP_LEVEL:
        instead = INSTEAD.get(names[0])
        hint = f'set {instead} instead' if instead else _nearest(names[0], TOP_LEVEL)
        raise UserError(f'--cfg-options {option}: nothing reads {names[0]}: {hint}.')
    node: Any = cfg
    for depth, name in enumerate(names):
        if isinstance(node, list | tuple) and name.isdecimal() and int(name) < len(node):
            node = node[int(name)]
        elif isinstance(node, Mapping | Config) and name in node:
            node = node[name]
        else:
            if depth and isinstance(node, Mapping):
                _check_new_key(node, names[:depth], name, option)
            return


def _check_new_key(node: Mapping, path: list[str], name: str, option: str) -> None:
    """Refuse a key that the config does not have, unless something reads it."""
    if path[-1] in OPEN or name == 'type':
        return
    known = arguments_of(node, path[-1])
    if path[-1] in LOADERS:
        known = LOADER_KEYS
    elif known is None and 'type' in node:
        return
    if known is None or name not in known:
        near = _nearest(name, {*node, *(known or ())} - {'type'})
        raise UserError(f'--cfg-options {option}: {".".join(path)} has no {name}: {near}.')


def check_types(cfg: Config) -> None:
    """Refuse a ``type`` that is not registered, and an argument that its class does not take.

    Models of mmdet change the dicts that they are given before they build from
    them, so within a model only lighthead's classes and the parts directly in
    them are checked.

    Raises:
        UserError: it names the key and those that are near.
    """
    for key, value in cfg.items():
        _check_types(value, key, checked=True)


def _check_types(node: object, path: str, checked: bool) -> None:
    """Check all dicts with a ``type`` at or below ``node``, those of others where ``checked``."""
    if isinstance(node, Mapping):
        if isinstance(node.get('type'), str):
            own = _is_own(node['type'])
            if checked or own:
                _check_type(node, path)
            checked = own if path.partition('.')[0] in MODELS else checked
        if node.get('type') in OTHERS_INSIDE:
            return
        for key, value in node.items():
            _check_types(value, f'{path}.{key}', checked)
    elif isinstance(node, list | tuple):
        for number, item in enumerate(node):
            _check_types(item, f'{path}.{number}', checked)


def _check_type(node: Mapping, path: str) -> None:
    key, name = path.rpartition('.')[2], node['type']
    if key in NOT_CLASSES or _is_foreign(name):
        return
    if find_class(name) is None:
        raise UserError(f'{path}.type={name!r} is not registered: {_nearest(name, _all())}.')
    known = arguments_of(node, key)
    unknown = [] if known is None else [argument for argument in node if argument not in known]
    if known is not None and unknown:
        near = _nearest(unknown[0], known - {'type', '_scope_'})
        raise UserError(f'{path}: {name} has no argument {unknown[0]}: {near}.')


def _is_own(name: str) -> bool:
    entry = find_class(name)
    return entry is not None and entry[1].__module__.startswith('lighthead.')


def arguments_of(node: Mapping, key: str) -> frozenset[str] | None:
    """The arguments that the class of a dict takes; None where that is unknown."""
    name = node.get('type')
    if key in NOT_CLASSES or key.endswith(('norm_cfg', 'act_cfg', 'conv_cfg')):
        return None
    entry = find_class(name) if isinstance(name, str) else None
    if entry is None or not inspect.isclass(entry[1]):
        return None
    registry, cls = entry
    names: set[str] = {'type', '_scope_', *ADDED.get(registry.name, ())}
    for base in cls.__mro__:
        if '__init__' not in vars(base):
            continue
        if base.__module__.partition('.')[0] not in OWN_PACKAGES:
            return None
        parameters = inspect.signature(base.__init__).parameters.values()
        names |= {p.name for p in parameters if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)}
        if not any(p.kind == p.VAR_KEYWORD for p in parameters):
            return frozenset(names - {'self'})
    return None


def find_class(name: str) -> tuple[Registry, Any] | None:
    """The registry that has a name, and what is registered under it; None if none has."""
    bare = name.rpartition('.')[2]
    for registry in _registries():
        registry.import_from_location()
        if bare in registry.module_dict:
            return registry, registry.module_dict[bare]
    return None


def _is_foreign(name: str) -> bool:
    """Whether a name belongs to a registry of another project, e.g. ``mmyolo.YOLOv5Head``."""
    scope = name.rpartition('.')[0]
    return bool(scope) and scope not in OWN_PACKAGES


@functools.cache
def _registries() -> tuple[Registry, ...]:
    """mmdet's registries, then mmengine's, which they inherit from."""
    modules = (mmdet.registry, mmengine.registry)
    entries = [r for module in modules for r in vars(module).values() if isinstance(r, Registry)]
    return tuple(sorted(entries, key=lambda registry: registry.scope != 'mmdet'))


def _all() -> frozenset[str]:
    return frozenset(name for registry in _registries() for name in registry.module_dict)


def _nearest(name: str, known: Collection[str]) -> str:
    similar = difflib.get_close_matches(name, sorted(known), n=3, cutoff=0.5)
    if similar:
        return f'did you mean {", ".join(similar)}?'
    if len(known) > 12:
        return 'check its spelling'
    return f'there is {", ".join(sorted(known)) or "nothing to set"}'
