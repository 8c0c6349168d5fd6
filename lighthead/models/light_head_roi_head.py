"""The RoI head and its online hard example mining.

Light-Head R-CNN, arXiv 1711.07264, section 4.1, and its authors' code: all
RoIs of all images in the process compete, without a quota of positives.
"""

from typing import Any

import torch
from mmdet.models.roi_heads import StandardRoIHead
from mmdet.models.task_modules.assigners import AssignResult
from mmdet.models.task_modules.samplers import BaseSampler, SamplingResult
from mmdet.registry import MODELS, TASK_UTILS
from mmdet.structures.bbox import bbox2roi
from mmdet.utils import reduce_mean
from torch import Tensor


@TASK_UTILS.register_module()
class AllRoIsSampler(BaseSampler):
    """Takes every proposal, positive and negative, and the ground truth."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(num=-1, pos_fraction=-1, add_gt_as_proposals=True, **kwargs)

    def _sample_pos(self, assign_result: AssignResult, num_expected: int, **kwargs: Any) -> Tensor:
        return (assign_result.gt_inds > 0).nonzero().squeeze(1)

    def _sample_neg(self, assign_result: AssignResult, num_expected: int, **kwargs: Any) -> Tensor:
        return (assign_result.gt_inds == 0).nonzero().squeeze(1)


def hardest(losses: Tensor, count: int) -> Tensor:
    """Indices of the ``count`` largest of ``losses`` (K,), all of them where K is smaller."""
    return losses.topk(min(count, len(losses))).indices


@MODELS.register_module()
class LightHeadRoIHead(StandardRoIHead):
    """mmdet's RoI head, with the paper's OHEM.

    Args:
        ohem_rois_per_image: K = this x images in the process RoIs train, those
            with the largest loss; an image may supply more than its share.
            Needs :class:`AllRoIsSampler`. 0: all that the sampler gives.
    """

    def __init__(self, ohem_rois_per_image: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.ohem_rois_per_image = ohem_rois_per_image

    def bbox_loss(
        self, x: tuple[Tensor, ...], sampling_results: list[SamplingResult]
    ) -> dict[str, dict | Tensor]:
        """R-CNN losses of the sampled RoIs, or of the hardest of them, divided by their number.

        The number is the mean over the processes, so that each RoI of a step weighs the same;
        with OHEM it is min(K, RoIs), as in the authors' code.
        """
        rois = bbox2roi([result.priors for result in sampling_results])
        targets = self.bbox_head.get_targets(sampling_results, self.train_cfg)
        budget = self.ohem_rois_per_image * len(sampling_results)
        if budget and len(rois) > budget:
            chosen = hardest(self._losses_without_gradient(x, rois, targets), budget)
            rois = rois[chosen]
            targets = tuple(target[chosen] for target in targets)
        divisor = reduce_mean(rois.new_tensor(float(len(rois)))).clamp(min=1)
        results = self._bbox_forward(x, rois)
        losses = self.bbox_head.loss(results['cls_score'], results['bbox_pred'], rois, *targets)
        results['loss_bbox'] = self._rescaled(losses, results, len(rois) / divisor)
        return results

    @torch.no_grad()
    def _losses_without_gradient(
        self, x: tuple[Tensor, ...], rois: Tensor, targets: tuple[Tensor, ...]
    ) -> Tensor:
        labels, _, bbox_targets, _ = targets
        results = self._bbox_forward(x, rois)
        return self.bbox_head.loss_per_roi(
            results['cls_score'], results['bbox_pred'], labels, bbox_targets
        )

    @staticmethod
    def _rescaled(losses: dict, results: dict, share: Tensor) -> dict:
        """Turn means over this process's RoIs into sums divided by the processes' mean number."""
        if 'loss_cls' not in losses:  # mmdet leaves it out where there is no RoI at all
            losses['loss_cls'] = results['cls_score'].sum() * 0
        return {
            name: value * share if name.startswith('loss') else value
            for name, value in losses.items()
        }
