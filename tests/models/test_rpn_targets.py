"""RPN's targets are the authors': anchors inside the image, and every box has its best anchor."""

import numpy as np
import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.structures import InstanceData

from .conftest import CONFIGS

EVERYTHING = 10**6


@pytest.fixture
def rpn():
    """The main config's RPN, whose sampler takes every labelled anchor."""
    cfg = Config.fromfile(CONFIGS / 'lighthead_shufflev2star.py').model
    cfg.train_cfg.rpn.sampler.num = EVERYTHING
    head = dict(cfg.rpn_head, in_channels=8, feat_channels=8)
    return MODELS.build(dict(head, train_cfg=cfg.train_cfg.rpn, test_cfg=cfg.test_cfg.rpn))


def targets(rpn, size: tuple[int, int], boxes: list[list[float]]) -> tuple[torch.Tensor, ...]:
    """Anchors (N, 4) of an image of ``size`` (height, width) and their labels: 1, 0, -1."""
    grid = [(-(-size[0] // 16), -(-size[1] // 16))]
    anchors = rpn.prior_generator.grid_priors(grid, device='cpu')[0]
    truth = InstanceData(
        bboxes=torch.tensor(boxes).view(-1, 4), labels=torch.zeros(len(boxes)).long()
    )
    valid = torch.ones(len(anchors), dtype=torch.bool)
    labels, weights, *_ = rpn._get_targets_single(anchors, valid, truth, dict(img_shape=size))
    return anchors, torch.where(weights > 0, 1 - labels, -1)


def ious(anchors: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    low = np.maximum(anchors[:, None, :2], boxes[None, :, :2])
    high = np.minimum(anchors[:, None, 2:], boxes[None, :, 2:])
    shared = (high - low).clip(0).prod(2)
    areas = [(b[:, 2:] - b[:, :2]).prod(1) for b in (anchors, boxes)]
    return shared / (areas[0][:, None] + areas[1][None] - shared)


def expected_labels(anchors: np.ndarray, boxes: np.ndarray, height: int, width: int) -> np.ndarray:
    """The authors' rules, one after the other."""
    labels = np.full(len(anchors), -1)
    inside = (anchors[:, :2] >= 0).all(1) & (anchors[:, 2] < width) & (anchors[:, 3] < height)
    overlap = ious(anchors[inside], boxes)
    chosen = np.full(inside.sum(), -1)
    chosen[overlap.max(1) < 0.3] = 0
    chosen[(overlap == overlap.max(0)).any(1)] = 1
    chosen[overlap.max(1) >= 0.7] = 1
    labels[inside] = chosen
    return labels


def test_labels_follow_the_authors_rules(rpn) -> None:
    size = (240, 320)
    boxes = [
        [17.3, 20.1, 60.7, 75.9],
        [100.2, 40.4, 275.1, 125.9],
        [1.0, 1.0, 5.0, 8.0],  # its best IoU is 0.03
        [40.3, 33.1, 160.2, 150.9],
    ]
    anchors, labels = targets(rpn, size, boxes)
    expected = expected_labels(anchors.numpy(), np.array(boxes), *size)
    assert labels.tolist() == expected.tolist()
    overlap = ious(anchors.numpy(), np.array(boxes))
    for index in range(len(boxes)):
        assert (overlap[labels.numpy() == 1, index] > 0).any(), 'every box has a positive anchor'
    crossing = (anchors[:, :2] < 0).any(1) | (anchors[:, 2] > 320) | (anchors[:, 3] > 240)
    assert crossing.any()
    assert (labels[crossing] == -1).all()


def test_a_box_that_no_anchor_touches_gets_none(rpn) -> None:
    """With a threshold of 0 it would get all anchors, since all have its greatest overlap: 0."""
    anchors, labels = targets(rpn, (240, 320), [[40.0, 40, 110, 110], [318.0, 238, 320, 240]])
    positive = anchors[labels == 1].numpy()
    assert len(positive)
    assert (ious(positive, np.array([[40.0, 40, 110, 110]])) > 0.3).all()


def test_an_image_smaller_than_every_anchor_is_trained_on_those_that_cross_it(rpn) -> None:
    _, labels = targets(rpn, (20, 24), [[2.0, 2, 20, 18]])
    assert (labels == 1).any()
    assert (labels >= 0).any()
    assert rpn.train_cfg['allowed_border'] == 0, 'for this image only'
    _, labels = targets(rpn, (240, 320), [[17.0, 20, 60, 75]])
    assert (labels == -1).any()


def test_an_image_without_boxes_has_negatives_only(rpn) -> None:
    _, labels = targets(rpn, (240, 320), [])
    assert set(labels.tolist()) == {-1, 0}
