"""``test_cfg``'s suppression is carried out as it is written, by mmdet where it is not plain."""

import pytest
import torch
from mmdet.models import RPNHead
from mmdet.models.roi_heads.bbox_heads import ConvFCBBoxHead
from mmdet.registry import MODELS
from mmengine.config import Config, ConfigDict
from mmengine.structures import InstanceData

from lighthead.ops.nms import is_plain_nms

from .conftest import CONFIGS

PLAIN = dict(type='nms', iou_threshold=0.5)
OTHERS = [
    dict(type='soft_nms', iou_threshold=0.5),
    dict(type='soft_nms', iou_threshold=0.5, method='gaussian', sigma=0.4),
    dict(type='nms', iou_threshold=0.5, class_agnostic=True),
    dict(type='nms', iou_threshold=0.5, max_num=3),
]
IMAGE = dict(img_shape=(100, 100), scale_factor=(1.0, 1.0))


@pytest.fixture(scope='module')
def model_cfg():
    return Config.fromfile(CONFIGS / 'lighthead_shufflev2star.py').model


def rois(count: int = 40) -> torch.Tensor:
    """(K, 5), many of which overlap."""
    generator = torch.Generator().manual_seed(0)
    corners = torch.rand(count, 2, generator=generator) * 30
    boxes = torch.cat((corners, corners + 40), dim=1)
    return torch.cat((torch.zeros(count, 1), boxes), dim=1)


def head_inputs(head) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(1)
    scores = torch.randn(40, head.num_classes + 1, generator=generator) * 3
    return rois(), scores, torch.randn(40, 4, generator=generator) * 0.1


def equal(a: InstanceData, b: InstanceData) -> bool:
    fields = ('bboxes', 'scores', 'labels')
    return len(a) == len(b) and all(torch.allclose(a[f].float(), b[f].float()) for f in fields)


@pytest.mark.parametrize('nms', OTHERS, ids=str)
def test_detections(nms, model_cfg) -> None:
    head = MODELS.build(dict(model_cfg.roi_head.bbox_head, num_classes=3))
    cfg = ConfigDict(score_thr=0.05, nms=nms, max_per_img=100)
    actual = head._predict_by_feat_single(*head_inputs(head), IMAGE, False, cfg)
    expected = ConvFCBBoxHead._predict_by_feat_single(head, *head_inputs(head), IMAGE, False, cfg)
    assert equal(actual, expected)
    plain = head._predict_by_feat_single(
        *head_inputs(head), IMAGE, False, ConfigDict(cfg, nms=PLAIN)
    )
    assert not equal(actual, plain)


def test_the_scores_are_the_heads_own(model_cfg) -> None:
    """A head with other scores than a softmax keeps them, whatever suppresses its boxes."""
    head = MODELS.build(dict(model_cfg.roi_head.bbox_head, num_classes=3))
    head.class_scores = lambda cls_score: cls_score[:, :-1].sigmoid()
    cfg = ConfigDict(score_thr=0.0, nms=OTHERS[2], max_per_img=1)
    roi, cls_score, bbox_pred = head_inputs(head)
    detections = head._predict_by_feat_single(roi, cls_score, bbox_pred, IMAGE, False, cfg)
    assert torch.allclose(detections.scores, cls_score[:, :-1].sigmoid().max())


def test_no_candidates(model_cfg) -> None:
    head = MODELS.build(dict(model_cfg.roi_head.bbox_head, num_classes=3))
    for nms in (PLAIN, *OTHERS):
        cfg = ConfigDict(score_thr=1.0, nms=nms, max_per_img=10)
        assert not len(head._predict_by_feat_single(*head_inputs(head), IMAGE, False, cfg))


def test_unlimited_detections(model_cfg) -> None:
    head = MODELS.build(dict(model_cfg.roi_head.bbox_head, num_classes=3))
    cfg = ConfigDict(score_thr=0.05, nms=PLAIN, max_per_img=-1)
    every = head._predict_by_feat_single(*head_inputs(head), IMAGE, False, cfg)
    limited = head._predict_by_feat_single(
        *head_inputs(head), IMAGE, False, ConfigDict(cfg, max_per_img=1000)
    )
    assert len(every)
    assert equal(every, limited)


def proposals() -> InstanceData:
    boxes, scores = rois()[:, 1:], torch.linspace(1, 0.1, 40)
    return InstanceData(bboxes=boxes, scores=scores, level_ids=torch.zeros(40).long())


@pytest.mark.parametrize('nms', [OTHERS[0], OTHERS[1], OTHERS[3]], ids=str)
def test_proposals(nms, model_cfg) -> None:
    cfg = ConfigDict(model_cfg.test_cfg.rpn, nms=nms)
    rpn = MODELS.build(dict(model_cfg.rpn_head, train_cfg=None, test_cfg=cfg))
    actual = rpn._bbox_post_process(proposals(), cfg, img_meta=IMAGE)
    expected = RPNHead._bbox_post_process(rpn, proposals(), cfg, img_meta=IMAGE)
    assert equal(actual, expected)
    plain = rpn._bbox_post_process(proposals(), ConfigDict(cfg, nms=PLAIN), img_meta=IMAGE)
    assert not equal(actual, plain)


@pytest.mark.parametrize(
    ('nms', 'plain'),
    [(PLAIN, True), (dict(iou_threshold=0.5), True), *((other, False) for other in OTHERS)],
    ids=str,
)
def test_what_is_plain(nms, plain) -> None:
    assert is_plain_nms(nms) is plain
