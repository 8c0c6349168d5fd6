"""The whole detector: shapes, gradients, corner cases and golden losses."""

import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData


def empty_sample(sample: DetDataSample) -> DetDataSample:
    sample.gt_instances = InstanceData(
        bboxes=torch.zeros(0, 4), labels=torch.zeros(0, dtype=torch.long)
    )
    return sample


def total(losses: dict) -> torch.Tensor:
    return sum(value.sum() for name, value in losses.items() if 'loss' in name)


def flat(losses: dict) -> dict[str, torch.Tensor]:
    """Losses by name; mmdet's RPN returns a list of levels."""
    return {
        name: sum(value) if isinstance(value, list) else value
        for name, value in losses.items()
        if 'loss' in name
    }


def test_every_part_has_the_papers_shape(model_cfg, build, batch) -> None:
    model = build(model_cfg).eval()
    c4, thin = model.extract_feat(batch[0])
    assert c4.shape == (2, 96, 8, 8)
    assert thin.shape == (2, 490, 4, 4)
    scores, deltas = model.rpn_head((c4, thin))
    assert scores[0].shape == (2, 15, 8, 8)
    assert deltas[0].shape == (2, 60, 8, 8)
    rois = torch.tensor([[0, 0, 0, 64, 64.0], [1, 30, 30, 90, 120.0]])
    pooled = model.roi_head.bbox_roi_extractor((c4, thin), rois)
    assert pooled.shape == (2, 10, 7, 7)
    cls_score, bbox_pred = model.roi_head.bbox_head(pooled)
    assert cls_score.shape == (2, 6)
    assert bbox_pred.shape == (2, 4)


@pytest.mark.parametrize('agnostic', [True, False])
@pytest.mark.parametrize('mode', ['avg', 'max'])
def test_every_parameter_gets_a_gradient(model_cfg, build, batch, agnostic, mode) -> None:
    model_cfg.roi_head.bbox_head.reg_class_agnostic = agnostic
    model_cfg.roi_head.bbox_roi_extractor.roi_layer.mode = mode
    model = build(model_cfg).train()
    sum(flat(model.loss(*batch)).values()).backward()
    without = [name for name, p in model.named_parameters() if p.grad is None]
    assert without == []
    assert all(p.grad.isfinite().all() for p in model.parameters())


def test_layout_l_dilated_and_class_specific(model_cfg, build, batch) -> None:
    model_cfg.backbone.dilated_stage4 = True
    model_cfg.neck.mid_channels = 256
    model_cfg.rpn_head.feat_channels = 512
    model_cfg.roi_head.bbox_roi_extractor.featmap_strides = [16]
    model_cfg.roi_head.bbox_head.reg_class_agnostic = False
    model = build(model_cfg).train()
    _, thin = model.extract_feat(batch[0])
    assert thin.shape == (2, 490, 8, 8)
    assert total(flat(model.loss(*batch))).isfinite()
    assert len(model.eval().predict(*batch)) == 2


def test_plain_c5(model_cfg, build, batch) -> None:
    model_cfg.backbone.out_indices = (1, 2)
    model_cfg.neck.in_channels = 192
    model = build(model_cfg).eval()
    assert model.extract_feat(batch[0])[1].shape == (2, 490, 4, 4)


@pytest.mark.parametrize('ohem', [0, 16])
def test_images_without_objects_train(model_cfg, build, batch, ohem) -> None:
    model_cfg.roi_head.ohem_rois_per_image = ohem
    model = build(model_cfg).train()
    inputs, samples = batch
    losses = flat(model.loss(inputs, [empty_sample(sample) for sample in samples]))
    assert total(losses).isfinite()
    assert losses['loss_bbox'] == 0
    assert losses['loss_cls'] > 0
    total(losses).backward()


@pytest.mark.parametrize('ohem', [0, 16])
def test_no_proposals_and_no_objects(model_cfg, build, batch, ohem) -> None:
    model_cfg.roi_head.ohem_rois_per_image = ohem
    model = build(model_cfg).train()
    inputs, samples = batch
    x = model.extract_feat(inputs)
    none = [
        InstanceData(bboxes=torch.zeros(0, 4), scores=torch.zeros(0), labels=torch.zeros(0).long())
        for _ in samples
    ]
    losses = flat(model.roi_head.loss(x, none, [empty_sample(sample) for sample in samples]))
    assert total(losses) == 0
    total(losses).backward()


def test_no_proposals_detect_nothing(model_cfg, build, batch) -> None:
    model = build(model_cfg).eval()
    inputs, samples = batch
    for sample in samples:
        sample.proposals = InstanceData(bboxes=torch.zeros(0, 4))
    results = model.predict(inputs, samples)
    assert [len(result.pred_instances) for result in results] == [0, 0]


def test_golden_losses(model_cfg, build, batch) -> None:
    """Weights from a formula rather than a generator, so that no library's stream matters."""
    model = build(model_cfg).train()
    with torch.no_grad():
        for index, parameter in enumerate(model.parameters()):
            wave = torch.arange(parameter.numel(), dtype=torch.float64) * 0.7 + index
            scale = 1 / max(parameter[0].numel(), 1) ** 0.5 if parameter.dim() > 1 else 0.1
            offset = 1.0 if parameter.dim() == 1 and 'bias' not in name_of(model, index) else 0.0
            parameter.copy_((wave.sin() * scale + offset).view_as(parameter))
    torch.manual_seed(0)
    losses = {name: round(value.item(), 4) for name, value in flat(model.loss(*batch)).items()}
    assert losses == pytest.approx(GOLDEN, rel=2e-3), f'new values: {losses}'


def name_of(model: torch.nn.Module, index: int) -> str:
    return [name for name, _ in model.named_parameters()][index]


GOLDEN = dict(loss_rpn_cls=0.7194, loss_rpn_bbox=0.0262, loss_cls=1.5911, loss_bbox=5.6974)
