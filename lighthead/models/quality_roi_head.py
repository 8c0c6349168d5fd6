"""The RoI head that joins both stages' scores."""

from typing import Any

import torch
from mmdet.models.roi_heads import StandardRoIHead
from mmdet.models.task_modules.samplers import SamplingResult
from mmdet.registry import MODELS
from mmdet.structures import SampleList
from mmdet.structures.bbox import bbox2roi, bbox_overlaps
from mmdet.utils import InstanceList, reduce_mean
from mmengine.structures import InstanceData
from torch import Tensor


@MODELS.register_module()
class QualityRoIHead(StandardRoIHead):
    """mmdet's RoI head; a detection's score is the weighted geometric mean of the RPN's score of
    its RoI and of its class score.

    Args:
        rpn_weight: Share of the RPN's score, in 0..1.
        loss_distill_cls: Loss of the class scores against a teacher's, or None.
    """

    def __init__(
        self, rpn_weight: float = 0.5, loss_distill_cls: dict | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.rpn_weight = rpn_weight
        self.loss_distill_cls = MODELS.build(loss_distill_cls) if loss_distill_cls else None
        self._teachers: list[InstanceData] = []

    def loss(
        self,
        x: tuple[Tensor, ...],
        rpn_results_list: InstanceList,
        batch_data_samples: SampleList,
    ) -> dict:
        """mmdet's losses, and that against a teacher where the samples carry its boxes."""
        taught = self.loss_distill_cls is not None and 'teacher_boxes' in batch_data_samples[0]
        self._teachers = [sample.teacher_boxes for sample in batch_data_samples] if taught else []
        return super().loss(x, rpn_results_list, batch_data_samples)

    def bbox_loss(self, x: tuple[Tensor, ...], sampling_results: list[SamplingResult]) -> dict:
        """mmdet's, with ``loss_distill_rcnn`` of the same RoIs where there is a teacher."""
        results = super().bbox_loss(x, sampling_results)
        if self.loss_distill_cls is not None and self._teachers:
            pairs = zip(sampling_results, self._teachers, strict=True)
            target = torch.cat([taught_scores(result.priors, boxes) for result, boxes in pairs])
            total = reduce_mean(target.sum()).clamp(min=1)
            results['loss_bbox']['loss_distill_rcnn'] = self.loss_distill_cls(
                results['cls_score'], target, avg_factor=total
            )
        return results

    def predict_bbox(
        self,
        x: tuple[Tensor, ...],
        batch_img_metas: list[dict],
        rpn_results_list: InstanceList,
        rcnn_test_cfg: dict,
        rescale: bool = False,
    ) -> InstanceList:
        """Detections of every image from its proposals (``bboxes``, ``scores``)."""
        rois = bbox2roi([proposals.bboxes for proposals in rpn_results_list])
        results = self._bbox_forward(x, rois)
        counts = [len(proposals) for proposals in rpn_results_list]
        scores = self.bbox_head.class_scores(results['cls_score']).split(counts)
        rows = zip(
            rois.split(counts),
            scores,
            results['bbox_pred'].split(counts),
            rpn_results_list,
            batch_img_metas,
            strict=True,
        )
        return [
            self.bbox_head.detections(
                roi, self.joint(own, proposals.scores), boxes, meta, rescale, rcnn_test_cfg
            )
            for roi, own, boxes, proposals, meta in rows
        ]

    def joint(self, own: Tensor, rpn: Tensor) -> Tensor:
        """Class scores (K, classes) and the RPN's scores (K,) to final scores (K, classes)."""
        return own.pow(1 - self.rpn_weight) * rpn[:, None].pow(self.rpn_weight)


def taught_scores(rois: Tensor, boxes: InstanceData) -> Tensor:
    """The scores (K, classes) in 0..1 of RoIs (K, 4) in pixels, by a teacher's boxes and scores.

    Of each class, the best score among the boxes that overlap with the RoI by an IoU of half; the
    same overlap makes a RoI positive for the labels.
    """
    near = bbox_overlaps(rois, boxes.bboxes) >= 0.5
    return (boxes.scores[None] * near[..., None]).amax(1)
