"""The R-CNN subnet of the modern detector: class scores that predict the IoU of the final box.

Quality focal loss (arXiv 2006.04388) on the RoIs of Light-Head R-CNN's single fc, boxes by an IoU
loss. There is no background class: what is nothing scores low in every class.
"""

from typing import Any

from mmdet.registry import MODELS
from mmdet.structures.bbox import bbox_overlaps
from mmdet.utils import reduce_mean
from mmengine.model import bias_init_with_prob, normal_init
from torch import Tensor, nn

from lighthead.models.light_head_bbox_head import LightHeadBBoxHead


@MODELS.register_module()
class QualityBBoxHead(LightHeadBBoxHead):
    """One fc, sigmoid scores (K, classes), class-agnostic boxes (K, 4).

    It needs ``reg_decoded_bbox=True``, ``reg_class_agnostic=True`` and a loss of scores that takes
    (labels, qualities), such as QualityFocalLoss.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fc_cls = nn.Linear(self.cls_last_dim, self.num_classes)

    def init_weights(self) -> None:
        """As mmdet's; each score starts near 0.05."""
        super().init_weights()
        normal_init(self.fc_cls, std=0.01, bias=bias_init_with_prob(0.05))

    def class_scores(self, cls_score: Tensor) -> Tensor:
        """Logits (K, classes) to scores in 0..1."""
        return cls_score.sigmoid()

    def loss(
        self,
        cls_score: Tensor,
        bbox_pred: Tensor,
        rois: Tensor,
        labels: Tensor,
        label_weights: Tensor,
        bbox_targets: Tensor,
        bbox_weights: Tensor,
        reduction_override: str | None = None,
    ) -> dict[str, Tensor]:
        """Losses of sampled RoIs, divided by the number of positive ones (mean over processes).

        Args:
            cls_score: (K, classes).
            bbox_pred: (K, 4).
            rois: (K, 5).
            labels: (K,); ``num_classes`` is background.
            label_weights: (K,).
            bbox_targets: (K, 4), boxes in pixels.
        """
        positive = (labels < self.num_classes).nonzero().squeeze(1)
        boxes = self.bbox_coder.decode(rois[positive, 1:], bbox_pred[positive])
        targets = bbox_targets[positive]
        quality = cls_score.new_zeros(len(labels))
        quality[positive] = bbox_overlaps(boxes.detach(), targets, is_aligned=True).clamp(min=0)
        count = reduce_mean(cls_score.new_tensor(float(len(positive)))).clamp(min=1)
        loss_bbox = bbox_pred.sum() * 0
        if len(positive):
            loss_bbox = self.loss_bbox(boxes, targets, avg_factor=count)
        loss_cls = self.loss_cls(cls_score, (labels, quality), label_weights, avg_factor=count)
        return dict(loss_cls=loss_cls, loss_bbox=loss_bbox)
