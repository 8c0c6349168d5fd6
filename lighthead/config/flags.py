"""What the flags of the command line change in a config: one function each, in place.

They are applied in the order of :data:`FLAGS`, over the config and before
``--cfg-options``; ``--auto`` is the last, and leaves alone what others set. A flag's name on the
command line is its name here.
"""

import argparse
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from mmdet.registry import MODELS
from mmengine.config import Config

from lighthead.checkpoint.specification import META_KEY, SPECS, read_specification
from lighthead.config.auto import set_auto
from lighthead.config.build import naming_mistakes
from lighthead.config.epochs import set_epochs
from lighthead.config.image_scale import LOADERS, set_img_scale
from lighthead.config.read import Change, parse_cfg_options
from lighthead.data.layout import apply_data_root, num_classes_fields
from lighthead.engine.amp import apply_amp
from lighthead.errors import UserError
from lighthead.weights import from_scratch
from lighthead.weights.files import read_weight_file
from lighthead.zoo.entries import entries
from lighthead.zoo.hub import HUB

DIVISIONS = ('val_fraction', 'fold')
"""Flags that say how the data of ``--data-root`` is divided."""
TORCHVISION = re.compile(r'(torchvision://shufflenet_v2_x)\d_\d')


def changes_of(args: argparse.Namespace, but: Collection[str] = ()) -> list[Change]:
    """The changes that the given flags ask for; flags that a command lacks are passed over.

    Args:
        but: Flags that mean something else in this command.
    """
    given = {name: getattr(args, name, None) for name in FLAGS if name not in but}
    division = {name: getattr(args, name, None) for name in DIVISIONS}
    division = {name: value for name, value in division.items() if value is not None}
    if division and not given.get('data_root'):
        raise UserError(f'--{next(iter(division)).replace("_", "-")} needs --data-root.')
    given = {k: value for k, value in given.items() if value is not None and value is not False}
    more = dict(data_root=division)
    if given.get('auto'):
        more['auto'] = dict(given=given, options=parse_cfg_options(args.cfg_options))
    return [
        partial(FLAGS[name], value=value, **more.get(name, {})) for name, value in given.items()
    ]


def set_data_root(cfg: Config, value: str, **division: Any) -> None:
    """The data of a folder in any known format, with the classes of its annotations.

    Args:
        division: ``val_fraction`` or ``fold``, see :func:`lighthead.data.find_splits.find_splits`.
            The split has a seed of its own, 0, so that ``--seed`` does not change the data.
    """
    apply_data_root(cfg, value, **division)


def set_trained_classes(cfg: Config, classes: Sequence[str], data_root: str | None) -> None:
    """The classes of a detector's checkpoint, to test it on the config's or other data."""
    if data_root:
        apply_data_root(cfg, data_root, classes=classes)
    for owner, _ in num_classes_fields(cfg.model):
        owner['num_classes'] = len(classes)
    if not cfg.get('test_dataloader'):
        raise UserError('The config has no test_dataloader: there is nothing to test on.')
    cfg.test_dataloader.dataset.metainfo = dict(classes=tuple(classes))


def _part(cfg: Config, path: str, flag: str) -> Any:
    """The part of the config that a flag changes.

    Raises:
        UserError: the config lacks it.
    """
    node: Any = cfg
    for name in path.split('.'):
        node = node.get(name) or {}
    if not node:
        raise UserError(f'{flag}: the config has no {path}.')
    return node


def set_image_folder(cfg: Config, value: str) -> None:
    """The data of a folder with train/<class>/ and val/<class>/."""
    for name in LOADERS:
        _part(cfg, f'{name}.dataset', '--data-root').data_root = value


def set_width(cfg: Config, value: float) -> None:
    """Another width of the backbone: its channels follow in neck and heads, and its weights."""
    backbone = _part(cfg, 'model.backbone', '--width')
    with naming_mistakes(cfg):
        before = backbone_channels(backbone)
        backbone.widen_factor = value
        after = dict(zip(before, backbone_channels(backbone)))
    for name, part in cfg.model.items():
        if name != 'backbone':
            _replace_channels(part, after)
    init_cfg = backbone.get('init_cfg')
    if init_cfg and TORCHVISION.match(str(init_cfg.get('checkpoint'))):
        new = f'{value:.1f}'.replace('.', '_')
        init_cfg.checkpoint = TORCHVISION.sub(rf'\g<1>{new}', init_cfg.checkpoint)
    if list(before) != list(after.values()):
        cfg.load_from = None  # the config's detector has another width


def backbone_channels(backbone_cfg: Mapping) -> tuple[int, ...]:
    """Output channels of the feature maps of a backbone."""
    if 'widen_factor' not in backbone_cfg:
        raise UserError(f'--width: the backbone {backbone_cfg.get("type")} has no widen_factor.')
    return MODELS.build({**backbone_cfg, 'init_cfg': None}).out_channels


def _replace_channels(node: object, new: Mapping[int, int]) -> None:
    """Replace every ``in_channels`` that is the width of a map of the backbone."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key != 'in_channels':
                _replace_channels(value, new)
            elif isinstance(value, int):
                node[key] = new.get(value, value)
            else:
                node[key] = type(value)(new.get(channels, channels) for channels in value)
    elif isinstance(node, list | tuple):
        for item in node:
            _replace_channels(item, new)


def set_init(cfg: Config, value: str) -> None:
    """Other weights to start from: all those of a detector of this kind, or a backbone's."""
    if _is_detector(value, cfg.model.type):
        cfg.load_from = value
        return
    backbone = _part(cfg, 'model.backbone', '--init')
    backbone.init_cfg = dict(type='Pretrained', checkpoint=value)
    cfg.load_from = None


def _is_detector(value: str, kind: str) -> bool:
    """Whether weights are a named detector, or a checkpoint of a detector of type ``kind``."""
    if kind not in SPECS:  # a classifier
        return False
    if value in entries() or value.startswith(HUB):
        return True
    if not Path(value).is_file():
        return False  # whoever reads it says so
    meta = read_weight_file(Path(value)).meta
    return META_KEY in meta and read_specification(meta, value).detector.type == kind


def set_from_scratch(cfg: Config, value: bool) -> None:
    """No weights: norms train, nothing is frozen."""
    _part(cfg, 'model.backbone', '--from-scratch')
    from_scratch(cfg.model)
    cfg.load_from = None


def set_load_from(cfg: Config, value: str) -> None:
    """Start from all weights of a detector's checkpoint."""
    cfg.load_from = value


def set_batch_size(cfg: Config, value: int) -> None:
    """Another number of training images per process."""
    _part(cfg, 'train_dataloader', '--batch-size').batch_size = value


def set_lr(cfg: Config, value: float) -> None:
    """Another learning rate, as it is used: it is not scaled to the batch size."""
    _part(cfg, 'optim_wrapper.optimizer', '--lr').lr = value
    if cfg.get('auto_scale_lr'):
        cfg.auto_scale_lr.enable = False


def set_auto_scale_lr(cfg: Config, value: bool) -> None:
    """Scale the learning rate from ``auto_scale_lr.base_batch_size`` to the batch size."""
    if not cfg.get('auto_scale_lr'):
        raise UserError('--auto-scale-lr: the config has no auto_scale_lr.base_batch_size.')
    cfg.auto_scale_lr.enable = True


def set_workers(cfg: Config, value: int) -> None:
    """Another number of worker processes for each data loader; 0 loads in the process itself."""
    for name in LOADERS:
        if cfg.get(name):
            cfg[name].num_workers = value
            cfg[name].persistent_workers = value > 0


def set_seed(cfg: Config, value: int) -> None:
    """One seed for the weights, the order of the images and their augmentation."""
    cfg.merge_from_dict({'randomness.seed': value})


def set_amp(cfg: Config, value: bool) -> None:
    """Mixed precision."""
    _part(cfg, 'optim_wrapper', '--amp')
    apply_amp(cfg)


def set_ema(cfg: Config, value: float) -> None:
    """Average the weights, with this momentum per optimizer step."""
    hook = dict(type='OptimizerStepEMAHook', momentum=value)
    cfg.custom_hooks = [*(cfg.get('custom_hooks') or ()), hook]


def set_no_report(cfg: Config, value: bool) -> None:
    """No page on the best validation at the end of the training."""
    (cfg.get('default_hooks') or {}).pop('report', None)


FLAGS: dict[str, Callable[..., None]] = {
    'data_root': set_data_root,
    'width': set_width,
    'init': set_init,
    'from_scratch': set_from_scratch,
    'load_from': set_load_from,
    'img_scale': set_img_scale,
    'epochs': set_epochs,
    'batch_size': set_batch_size,
    'lr': set_lr,
    'auto_scale_lr': set_auto_scale_lr,
    'workers': set_workers,
    'seed': set_seed,
    'amp': set_amp,
    'ema': set_ema,
    'auto': set_auto,
    'no_report': set_no_report,
}
"""Names of flags, as they are in the parsed arguments, and what they change."""
