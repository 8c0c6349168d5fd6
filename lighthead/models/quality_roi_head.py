"""The RoI head that joins both stages' scores."""

from typing import Any

from mmdet.models.roi_heads import StandardRoIHead
from mmdet.registry import MODELS
from mmdet.structures.bbox import bbox2roi
from mmdet.utils import InstanceList
from torch import Tensor


@MODELS.register_module()
class QualityRoIHead(StandardRoIHead):
    """mmdet's RoI head; a detection's score is the weighted geometric mean of the RPN's score of
    its RoI and of its class score.

    Args:
        rpn_weight: Share of the RPN's score, in 0..1.
    """

    def __init__(self, rpn_weight: float = 0.5, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.rpn_weight = rpn_weight

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
