"""A small detector and a batch for it, built afresh for every test."""

import copy
from pathlib import Path

import pytest
import torch
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.structures import InstanceData

from lighthead.weights import from_scratch

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'


def make_sample(boxes: list[list[float]], labels: list[int], size: int) -> DetDataSample:
    """One image's annotation; ``boxes`` may be empty."""
    sample = DetDataSample(
        metainfo=dict(
            img_id=1,
            img_path='image.jpg',
            ori_shape=(size, size),
            img_shape=(size, size),
            scale_factor=(1.0, 1.0),
            batch_input_shape=(size, size),
            pad_shape=(size, size),
        )
    )
    sample.gt_instances = InstanceData(
        bboxes=torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        labels=torch.tensor(labels, dtype=torch.long),
    )
    sample.ignored_instances = InstanceData(bboxes=torch.zeros(0, 4), labels=torch.zeros(0).long())
    return sample


@pytest.fixture
def model_cfg():
    """The 0.5x detector with 5 classes, from scratch, OHEM with 16 RoIs an image."""
    cfg = Config.fromfile(CONFIGS / 'lighthead_shufflev2star_x0_5.py').model
    from_scratch(cfg)
    cfg.roi_head.bbox_head.num_classes = 5
    cfg.roi_head.ohem_rois_per_image = 16
    return cfg


@pytest.fixture
def build():
    """Build a detector from a copy (mmdet changes what it is given) with seeded weights."""

    def build(cfg: dict) -> torch.nn.Module:
        torch.manual_seed(0)
        model = MODELS.build(copy.deepcopy(cfg))
        model.init_weights()
        return model

    return build


@pytest.fixture
def batch():
    """Two images of 128 px, one with two objects and one with one: what ``model.loss`` takes."""
    inputs = torch.randn(2, 3, 128, 128, generator=torch.Generator().manual_seed(1))
    samples = [
        make_sample([[10, 10, 60, 70], [40, 50, 120, 120]], [0, 3], 128),
        make_sample([[5, 20, 100, 90]], [4], 128),
    ]
    return inputs, samples
