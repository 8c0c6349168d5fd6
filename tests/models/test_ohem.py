"""OHEM against a naive implementation that computes every RoI's loss with its gradient."""

import pytest
import torch
import torch.nn.functional as F
from mmdet.structures.bbox import bbox2roi
from mmengine.structures import InstanceData


def proposals(count: int, size: int, seed: int) -> InstanceData:
    generator = torch.Generator().manual_seed(seed)
    corners = torch.rand(count, 2, generator=generator) * size * 0.6
    sides = torch.rand(count, 2, generator=generator) * size * 0.4 + 4
    boxes = torch.cat((corners, corners + sides), dim=1)
    return InstanceData(bboxes=boxes, scores=torch.ones(count), labels=torch.zeros(count).long())


def naive_losses(head, features, sampling_results, budget: int) -> tuple:
    """Losses of the hardest RoIs, one RoI at a time, divided by min(budget, RoIs)."""
    rois = bbox2roi([result.priors for result in sampling_results])
    labels, _, targets, _ = head.bbox_head.get_targets(sampling_results, head.train_cfg)
    results = head._bbox_forward(features, rois)
    cls_losses, box_losses = [], []
    for row in range(len(rois)):
        cls_losses.append(F.cross_entropy(results['cls_score'][row][None], labels[row][None]))
        box_loss = F.smooth_l1_loss(results['bbox_pred'][row], targets[row], reduction='sum')
        box_losses.append(box_loss * float(labels[row] < head.bbox_head.num_classes))
    cls_losses, box_losses = torch.stack(cls_losses), torch.stack(box_losses)
    order = (cls_losses + box_losses).argsort(descending=True)[:budget]
    count = min(budget, len(rois))  # the authors' divisor
    return cls_losses[order].sum() / count, 2 * box_losses[order].sum() / count, order


@pytest.mark.parametrize(
    ('counts', 'per_image', 'with_objects'),
    [
        ((60, 7), 16, True),  # uneven: the first image supplies more than its share
        ((60, 7), 16, False),  # no ground truth
        ((5, 4), 16, True),  # fewer RoIs than K
    ],
)
def test_equals_the_naive_implementation(
    model_cfg, build, batch, counts, per_image, with_objects
) -> None:
    model_cfg.roi_head.ohem_rois_per_image = per_image
    model = build(model_cfg).train()
    head = model.roi_head
    inputs, samples = batch
    if not with_objects:
        for sample in samples:
            sample.gt_instances = sample.gt_instances[:0]
    c4, thin = (feature.detach() for feature in model.extract_feat(inputs))
    thin.requires_grad_()
    found = [proposals(count, 128, seed) for seed, count in enumerate(counts)]
    sampling_results = []
    for sample, result in zip(samples, found, strict=True):
        priors = InstanceData(priors=result.bboxes)
        assigned = head.bbox_assigner.assign(
            priors, sample.gt_instances, InstanceData(bboxes=torch.zeros(0, 4))
        )
        sampling_results.append(head.bbox_sampler.sample(assigned, priors, sample.gt_instances))

    expected_cls, expected_box, order = naive_losses(
        head, (c4, thin), sampling_results, per_image * 2
    )
    expected = torch.autograd.grad(expected_cls + expected_box, thin)[0]
    losses = head.bbox_loss((c4, thin), sampling_results)['loss_bbox']
    assert losses['loss_cls'].item() == pytest.approx(expected_cls.item(), rel=1e-5)
    assert losses['loss_bbox'].item() == pytest.approx(expected_box.item(), rel=1e-5, abs=1e-9)
    gradient = torch.autograd.grad(losses['loss_cls'] + losses['loss_bbox'], thin)[0]
    torch.testing.assert_close(gradient, expected, rtol=1e-4, atol=1e-7)
    if counts == (60, 7):
        images = bbox2roi([result.priors for result in sampling_results])[order, 0]
        assert (images == 0).sum() > per_image, 'one image supplies more than its share'
