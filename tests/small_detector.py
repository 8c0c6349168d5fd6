"""A small detector with random weights that finds things, as a checkpoint file."""

from collections.abc import Sequence
from pathlib import Path

import torch
from mmdet.models.detectors import BaseDetector
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import DefaultScope
from torch import nn

from lighthead.checkpoint.checkpoint_files import save_checkpoint_file
from lighthead.checkpoint.describe import checkpoint_meta, describe
from lighthead.weights import from_scratch

CONFIG = Path(__file__).resolve().parents[1] / 'configs' / 'lighthead_shufflev2star_x0_5.py'
CLASSES = ['cat', 'dog', 'Straßenbahn']
CATEGORY_IDS = [3, 7, 20]


def small_config(
    mode: str = 'max',
    class_agnostic: bool = True,
    score_thr: float = 0.05,
    proposals: tuple[int, int] = (1000, 300),
) -> Config:
    """The 0.5x detector with three classes at 160 x 128, without what only training needs.

    ``proposals``: how many before and after suppression.
    """
    full = Config.fromfile(CONFIG)
    cfg = Config(
        dict(
            default_scope='mmdet',
            custom_imports=dict(imports=['lighthead'], allow_failed_imports=False),
            model=full.model,
            test_dataloader=full.test_dataloader,
        )
    )
    cfg.test_dataloader.dataset.pipeline[1].scale = (160, 128)
    cfg.test_dataloader.dataset.metainfo = dict(classes=tuple(CLASSES))
    from_scratch(cfg.model)
    cfg.model.data_preprocessor.update(
        mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], bgr_to_rgb=True
    )
    head = cfg.model.roi_head
    head.bbox_head.update(num_classes=len(CLASSES), reg_class_agnostic=class_agnostic)
    head.bbox_roi_extractor.roi_layer.mode = mode
    cfg.model.test_cfg.rpn.update(nms_pre=proposals[0], max_per_img=proposals[1])
    cfg.model.test_cfg.rcnn.score_thr = score_thr
    return cfg


def random_detector(cfg: Config) -> BaseDetector:
    """Random weights and batch-norm statistics, with scores that differ from box to box."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        with DefaultScope.overwrite_default_scope('mmdet'):
            model = MODELS.build(cfg.copy().model)
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                nn.init.normal_(module.running_mean, std=0.2)
                nn.init.uniform_(module.running_var, 0.7, 1.4)
                nn.init.uniform_(module.weight, 1.5, 2.5)
                nn.init.normal_(module.bias, std=0.1)
        head = model.roi_head.bbox_head
        nn.init.normal_(model.rpn_head.rpn_cls.weight, std=0.1)
        nn.init.normal_(head.fc_cls.weight, std=0.1)
        nn.init.normal_(head.fc_reg.weight, std=0.02)
    return model.eval()


def write_checkpoint(
    cfg: Config,
    path: Path,
    classes: Sequence[str] = CLASSES,
    category_ids: Sequence[int] = CATEGORY_IDS,
) -> Path:
    """A checkpoint file like those that training writes, without the training's state."""
    meta = dict(
        lighthead_version='0.1.0',
        **checkpoint_meta(cfg, describe(cfg, classes, category_ids)),
        dataset_meta=dict(classes=list(classes), category_ids=list(category_ids)),
        epoch=1,
        iter=1,
    )
    save_checkpoint_file(dict(meta=meta, state_dict=random_detector(cfg).state_dict()), path)
    return path
