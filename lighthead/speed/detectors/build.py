"""Building the detectors to be timed: from configs, and torchvision's; nothing is downloaded."""

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import mmdet
from mmdet.models.detectors import BaseDetector
from mmengine.config import Config
from torchvision.models import detection, list_models

from lighthead.checkpoint.build_model import build_model, load_weights
from lighthead.checkpoint.checkpoint_files import load_checkpoint_file
from lighthead.config.build import naming_mistakes
from lighthead.config.read import read, read_file
from lighthead.errors import UserError
from lighthead.weights import adapt_model_cfg

MMDET = 'mmdet:'
TORCHVISION = 'torchvision:'
FREEZING = ('frozen_stages', 'norm_eval')
"""Fields that make no sense without trained weights; they do not change the speed."""
PADDING = 32
"""Sides are padded to a multiple of this: feature pyramids need it."""

AnyDetector: TypeAlias = Any
"""mmdet's ``BaseDetector``, or one of torchvision's detectors; neither package has types."""


@dataclass(frozen=True)
class Candidate:
    """A detector to be timed, by its name on the command line."""

    name: str
    checkpoint: str | None = None

    @property
    def label(self) -> str:
        """Its name without folders."""
        return Path(self.name).stem if self.name.endswith('.py') else self.name.split(':')[-1]

    def build(self, size: tuple[int, int]) -> AnyDetector:
        """The detector, in eval mode."""
        if self.name.startswith(TORCHVISION):
            return build_torchvision_detector(self.name.removeprefix(TORCHVISION), size)
        model = build_mmdet_detector(self.name, self.checkpoint)
        if getattr(model.data_preprocessor, 'pad_size_divisor', PADDING) < PADDING:
            model.data_preprocessor.pad_size_divisor = PADDING  # its own pipeline would pad
        return model


def read_config(name: str) -> Config:
    """The config of a file or, as ``mmdet:<path>``, one of mmdet's wheel."""
    if not name.startswith(MMDET):
        return read(name).cfg
    root = Path(mmdet.__file__).parent / '.mim' / 'configs'
    path = root / name.removeprefix(MMDET)
    if not path.is_file():
        raise UserError(
            f'{name}: the mmdet here has no such config; give a path below its configs folder, '
            'such as mmdet:rtmdet/rtmdet_tiny_8xb32-300e_coco.py.'
        )
    return read_file(path)


def build_mmdet_detector(name: str, checkpoint: str | None = None) -> BaseDetector:
    """The detector of a config in eval mode, with a checkpoint's weights or random ones."""
    config = read_config(name)
    if 'model' not in config:
        raise UserError(f"{name} has no field model: it is no detector's config.")
    without_weights(config.model)
    adapt_model_cfg(config.model)
    with naming_mistakes(config):
        model = build_model(config.model)
    if checkpoint:
        load_weights(model, load_checkpoint_file(checkpoint)['state_dict'], checkpoint)
    return model


def without_weights(cfg: object) -> None:
    """Take pretrained weights, and freezing that needs them, out of a model's config in place."""
    if isinstance(cfg, dict):
        init = cfg.get('init_cfg')
        if isinstance(init, dict) and init.get('type') == 'Pretrained':
            cfg['init_cfg'] = None
            for field in FREEZING:
                cfg.pop(field, None)
        cfg.pop('pretrained', None)
        for value in cfg.values():
            without_weights(value)
    elif isinstance(cfg, list | tuple):
        for value in cfg:
            without_weights(value)


def build_torchvision_detector(name: str, sides: tuple[int, int]) -> AnyDetector:
    """torchvision's detector of this function's name, which resizes images to these sides."""
    known = [known for known in list_models(module=detection) if 'mask' not in known]
    if name not in known:
        raise UserError(f'torchvision has no detector {name!r}: choose from {", ".join(known)}.')
    build = functools.partial(getattr(detection, name), weights=None, weights_backbone=None)
    if name.startswith('ssd'):
        return build().eval()  # its size is fixed
    return build(min_size=min(sides), max_size=max(sides)).eval()
