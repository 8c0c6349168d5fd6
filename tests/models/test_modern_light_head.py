"""The modern detector: shapes, gradients, corner cases, golden losses, the teacher."""

import pytest
import torch
from mmengine.config import Config
from mmengine.structures import InstanceData
from torch import nn

from lighthead.engine.teacher import TeacherHook
from lighthead.errors import UserError
from lighthead.models.quality_roi_head import taught_scores
from tests.models.conftest import CONFIGS

GOLDEN = dict(
    rpn_loss_cls=11.5587,
    rpn_loss_bbox=0.8989,
    rpn_loss_dfl=0.5815,
    rpn_loss_distill_cls=0.1671,
    rpn_loss_distill_box=0.059,
    loss_cls=4.3241,
    loss_bbox=0.8432,
    loss_distill_levels=3.9775,
)


@pytest.fixture
def model_cfg():
    """The 1.0x detector with 5 classes, from scratch."""
    cfg = Config.fromfile(CONFIGS / 'modern' / 'lighthead_modern.py').model
    cfg.backbone.update(init_cfg=None, frozen_stages=-1, norm_eval=False)
    cfg.roi_head.bbox_head.num_classes = 5
    return cfg


def flat(losses: dict) -> dict[str, torch.Tensor]:
    """Losses by name; the RPN returns a list of levels."""
    return {
        name: sum(value) if isinstance(value, list) else value
        for name, value in losses.items()
        if 'loss' in name
    }


def teacher(
    inputs: torch.Tensor, stages: tuple[torch.Tensor, ...]
) -> tuple[list[InstanceData], list[InstanceData], list[torch.Tensor]]:
    """Soft targets for 128-pixel images: 16*16 + 8*8 + 4*4 + 2*2 places; maps of four levels."""
    places = 256 + 64 + 16 + 4
    generator = torch.Generator().manual_seed(2)
    targets = [
        InstanceData(
            scores=torch.rand(places, 1, generator=generator),
            boxes=torch.randn(places, 32, generator=generator),
        )
        for _ in inputs
    ]
    boxes = [
        InstanceData(
            bboxes=torch.tensor([[10.0, 10.0, 60.0, 60.0]]),
            scores=torch.tensor([[0.1, 0.8, 0.0, 0.3, 0.0]]),
        )
        for _ in inputs
    ]
    sides = (16, 8, 4, 2)
    return targets, boxes, [torch.randn(len(inputs), 96, s, s, generator=generator) for s in sides]


@pytest.mark.parametrize(('thin_level', 'thin_side'), [(0, 16), (1, 8)])
def test_shapes(model_cfg, build, batch, thin_level, thin_side) -> None:
    model_cfg.neck.thin_level = thin_level
    model_cfg.roi_head.bbox_roi_extractor.featmap_strides = [8 * 2**thin_level]
    model = build(model_cfg).eval()
    *levels, thin = maps = model.extract_feat(batch[0])
    assert [tuple(level.shape) for level in levels] == [(2, 96, s, s) for s in (16, 8, 4, 2)]
    assert thin.shape == (2, 245, thin_side, thin_side)
    scores, boxes = model.rpn_head(maps)
    assert [tuple(s.shape) for s in scores] == [(2, 1, s, s) for s in (16, 8, 4, 2)]
    assert boxes[0].shape == (2, 32, 16, 16)
    rois = torch.tensor([[0, 0, 0, 64, 64.0], [1, 30, 30, 90, 120.0]])
    pooled = model.roi_head.bbox_roi_extractor(maps, rois)
    assert pooled.shape == (2, 5, 7, 7)
    cls_score, bbox_pred = model.roi_head.bbox_head(pooled)
    assert cls_score.shape == (2, 5)
    assert bbox_pred.shape == (2, 4)


@pytest.mark.parametrize('context', [True, False])
def test_every_parameter_gets_a_gradient(model_cfg, build, batch, context) -> None:
    model_cfg.neck.context = context
    model = build(model_cfg).train()
    model.teachers = [teacher]
    losses = flat(model.loss(*batch))
    assert {'rpn_loss_distill_cls', 'loss_distill_levels'} <= losses.keys()
    sum(losses.values()).backward()
    assert [name for name, p in model.named_parameters() if p.grad is None] == []
    assert all(p.grad.isfinite().all() for p in model.parameters())


def test_images_without_objects_train(model_cfg, build, batch) -> None:
    model = build(model_cfg).train()
    inputs, samples = batch
    for sample in samples:
        sample.gt_instances = InstanceData(bboxes=torch.zeros(0, 4), labels=torch.zeros(0).long())
    losses = flat(model.loss(inputs, samples))
    assert losses['loss_bbox'] == losses['rpn_loss_bbox'] == 0
    assert losses['loss_cls'] > 0
    sum(losses.values()).backward()


def test_no_proposals_detect_nothing(model_cfg, build, batch) -> None:
    model = build(model_cfg).eval()
    inputs, samples = batch
    for sample in samples:
        sample.proposals = InstanceData(bboxes=torch.zeros(0, 4), scores=torch.zeros(0))
    results = model.predict(inputs, samples)
    assert [len(result.pred_instances) for result in results] == [0, 0]


@pytest.mark.parametrize(('weight', 'expected'), [(0.0, 0.25), (0.5, 0.5), (1.0, 1.0)])
def test_scores_of_both_stages_are_joined(model_cfg, build, weight, expected) -> None:
    head = build(model_cfg).roi_head
    head.rpn_weight = weight
    joint = head.joint(torch.tensor([[0.25, 0.0]]), torch.tensor([1.0]))
    assert joint[0, 0] == pytest.approx(expected)


def test_class_scores_learn_the_iou_of_the_refined_box(model_cfg, build) -> None:
    """A score equal to the IoU costs nothing; the box loss ignores negatives."""
    head = build(model_cfg).roi_head.bbox_head
    rois = torch.tensor([[0, 0, 0, 10, 10.0], [0, 50, 50, 60, 60]])
    targets = torch.tensor([[0, 0, 10, 20.0], [0, 0, 0, 0]])
    labels = torch.tensor([3, 5])
    iou = torch.tensor(0.5)
    scores = torch.full((2, 5), -20.0)
    scores[0, 3] = iou.logit()
    losses = head.loss(
        scores, torch.zeros(2, 4), rois, labels, torch.ones(2), targets, torch.ones(2, 4)
    )
    assert losses['loss_cls'].item() == pytest.approx(0, abs=1e-5)
    assert losses['loss_bbox'].item() == pytest.approx(2 * (1 - 0.5), abs=1e-4)
    scores[0, 3] = 5.0
    worse = head.loss(
        scores, torch.zeros(2, 4), rois, labels, torch.ones(2), targets, torch.ones(2, 4)
    )
    assert worse['loss_cls'] > 0.5


def test_a_student_that_equals_its_teacher_has_no_box_loss(model_cfg, build) -> None:
    head = build(model_cfg).rpn_head
    boxes = [torch.randn(1, 32, side, side) for side in (4, 2, 1, 1)]
    logits = [torch.randn(1, 1, side, side) for side in (4, 2, 1, 1)]

    def flat_places(maps: list[torch.Tensor]) -> torch.Tensor:
        return torch.cat([m.permute(0, 2, 3, 1).flatten(1, 2) for m in maps], 1)[0]

    same = InstanceData(scores=flat_places(logits).sigmoid(), boxes=flat_places(boxes))
    losses = head.loss_distill(logits, boxes, [same])
    assert losses['loss_distill_cls'].item() == pytest.approx(0, abs=1e-6)
    assert losses['loss_distill_box'].item() == pytest.approx(0, abs=1e-6)
    other = InstanceData(scores=same.scores, boxes=same.boxes.flip(0))
    assert head.loss_distill(logits, boxes, [other])['loss_distill_box'] > 0.01


def test_a_loss_against_the_teacher_may_be_left_out(model_cfg, build) -> None:
    model_cfg.rpn_head.loss_distill_box = None
    head = build(model_cfg).rpn_head
    scores, boxes = torch.randn(1, 1, 4, 4), torch.randn(1, 32, 4, 4)
    output = InstanceData(scores=torch.rand(16, 1), boxes=torch.randn(16, 32))
    assert set(head.loss_distill([scores], [boxes], [output])) == {'loss_distill_cls'}


def test_class_scores_against_the_teacher(model_cfg, build, batch) -> None:
    model_cfg.roi_head.loss_distill_cls = dict(
        type='QualityFocalLoss', use_sigmoid=True, beta=2.0, loss_weight=1.0
    )
    model = build(model_cfg).train()
    model.teachers = [teacher]
    losses = flat(model.loss(*batch))
    assert losses['loss_distill_rcnn'] > 0
    losses['loss_distill_rcnn'].backward()
    assert model.roi_head.bbox_head.fc_cls.weight.grad.abs().sum() > 0
    model.teachers = []
    for sample in batch[1]:
        del sample.teacher, sample.teacher_boxes
    assert 'loss_distill_rcnn' not in flat(model.loss(*batch))


def test_rois_get_the_best_scores_of_overlapping_boxes() -> None:
    boxes = InstanceData(
        bboxes=torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 12], [50, 50, 60, 60]]),
        scores=torch.tensor([[0.9, 0.0], [0.5, 0.4], [0.0, 0.7]]),
    )
    rois = torch.tensor([[0.0, 0, 10, 10], [50, 50, 60, 58], [0, 0, 4, 4]])
    scores = taught_scores(rois, boxes)
    assert scores.tolist() == [pytest.approx(row) for row in ([0.9, 0.4], [0.0, 0.7], [0.0, 0.0])]


def test_a_teacher_needs_both_of_its_files() -> None:
    with pytest.raises(UserError, match='both files of the teacher, param and weights'):
        TeacherHook(param='nanodet.param')
    assert TeacherHook().teacher is None


def test_the_teacher_is_no_part_of_the_checkpoint(model_cfg, build) -> None:
    model = build(model_cfg)
    before = set(model.state_dict())
    model.teachers = [nn.Conv2d(3, 3, 1)]
    assert set(model.state_dict()) == before


@pytest.mark.parametrize('name', ['one_stage_gfl', 'one_stage_rtmdet'])
def test_the_rivals_train_and_detect(build, batch, name) -> None:
    cfg = Config.fromfile(CONFIGS / 'modern' / f'{name}.py').model
    cfg.backbone.update(init_cfg=None, frozen_stages=-1, norm_eval=False)
    cfg.bbox_head.num_classes = 5
    model = build(cfg).train()
    sum(flat(model.loss(*batch)).values()).backward()
    assert [n for n, p in model.named_parameters() if p.grad is None] == []
    assert len(model.eval().predict(*batch)) == 2


def test_golden_losses(model_cfg, build, batch) -> None:
    """Weights from a formula rather than a generator, so that no library's stream matters."""
    model = build(model_cfg).train()
    with torch.no_grad():
        for index, (name, parameter) in enumerate(model.named_parameters()):
            wave = torch.arange(parameter.numel(), dtype=torch.float64) * 0.7 + index
            scale = 1 / max(parameter[0].numel(), 1) ** 0.5 if parameter.dim() > 1 else 0.1
            offset = 1.0 if parameter.dim() == 1 and 'bias' not in name else 0.0
            parameter.copy_((wave.sin() * scale + offset).view_as(parameter))
    model.teachers = [teacher]
    torch.manual_seed(0)
    losses = {name: round(value.item(), 4) for name, value in flat(model.loss(*batch)).items()}
    assert losses == pytest.approx(GOLDEN, rel=2e-3), f'new values: {losses}'
