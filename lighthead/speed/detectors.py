"""Building the detectors to be timed: ours, mmdet's, torchvision's."""

import copy
import functools
import importlib.util
from collections.abc import Callable
from pathlib import Path

import torch.nn as nn
from mmengine.config import Config, ConfigDict
from mmengine.registry import init_default_scope

from lighthead.errors import UserError


def load_config(path: str) -> Config:
    """The config of one of our files or, as ``mmdet:<path>``, of mmdet's wheel."""
    if path.startswith('mmdet:'):
        spec = importlib.util.find_spec('mmdet')
        root = Path(spec.origin).parent / '.mim' / 'configs'
        file = root / path.removeprefix('mmdet:')
        if not file.is_file():
            raise UserError(f'{path}: mmdet has no config {path.removeprefix("mmdet:")}.')
    else:
        file = Path(path)
        if not file.is_file():
            raise UserError(f'{path} is not there: give the path of a config.')
    try:
        config = Config.fromfile(file)
    except Exception as error:
        raise UserError(f'{path} is no readable config ({error}).') from error
    if 'model' not in config:
        raise UserError(f"{path} has no field model: it is no detector's config.")
    return config


def build_mmdet_detector(path: str, checkpoint: str | None = None) -> nn.Module:
    """The detector of a config, with random weights or a checkpoint's, in eval mode.

    Nothing is downloaded: ``init_cfg`` of the config is left out.
    """
    from mmdet.registry import MODELS

    config = load_config(path)
    init_default_scope('mmdet')
    model_cfg = copy.deepcopy(config.model)
    _adapt(model_cfg)
    _drop_pretrained(model_cfg)
    model = MODELS.build(model_cfg)
    if checkpoint:
        _load(model, checkpoint)
    return model.eval()


def _adapt(model_cfg: ConfigDict) -> None:
    """Let preprocessing and activation follow the pretrained weights, as in training."""
    if model_cfg.get('type') == 'LightHeadRCNN':
        from lighthead.pretrained import adapt_model_cfg

        adapt_model_cfg(model_cfg)


def _drop_pretrained(cfg: object) -> None:
    if isinstance(cfg, dict):
        init = cfg.get('init_cfg')
        if isinstance(init, dict) and init.get('type') == 'Pretrained':
            cfg['init_cfg'] = None
        if cfg.get('pretrained'):
            cfg['pretrained'] = None
        if cfg.get('norm_eval') or cfg.get('frozen_stages', -1) > 0:
            cfg.update({k: v for k, v in (('norm_eval', False),) if k in cfg})
        for value in cfg.values():
            _drop_pretrained(value)
    elif isinstance(cfg, (list, tuple)):
        for value in cfg:
            _drop_pretrained(value)


def _load(model: nn.Module, checkpoint: str) -> None:
    from lighthead.engine.checkpoint import load_checkpoint_file

    state = load_checkpoint_file(checkpoint)
    state = state.get('state_dict', state)
    missing, unexpected = model.load_state_dict(state, strict=False)
    if missing or unexpected:
        raise UserError(
            f'{checkpoint} does not fit the config: {len(missing)} tensors are missing '
            f'({", ".join(missing[:2])}), {len(unexpected)} are not expected.'
        )


def torchvision_builder(name: str) -> Callable[..., nn.Module]:
    """The detector function of torchvision, taking settings, without any weights."""
    from torchvision.models import detection

    function = getattr(detection, name, None)
    known = [n for n in dir(detection) if n.endswith(('_fpn', '_v2', '_vgg16', '_large'))]
    if name not in known or not callable(function):
        raise UserError(f'torchvision has no detector {name!r}: choose from {", ".join(known)}.')
    return functools.partial(function, weights=None, weights_backbone=None)
