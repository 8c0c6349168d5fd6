"""The R-CNN subnet: one fc of 2048, then class scores and boxes (arXiv 1711.07264, section 3.2)."""

import torch
from mmcv.ops import batched_nms
from mmdet.models.roi_heads.bbox_heads import ConvFCBBoxHead
from mmdet.registry import MODELS
from mmdet.structures.bbox import scale_boxes
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData
from torch import Tensor

from lighthead.ops.nms import batched_nms_topk, is_plain_nms


@MODELS.register_module()
class LightHeadBBoxHead(ConvFCBBoxHead):
    """mmdet's fc head, with losses per RoI for OHEM and a plain suppression that stops early."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Pooled maps (K, 10, 7, 7) to scores (K, classes + 1) and box deltas, float32."""
        cls_score, bbox_pred = super().forward(x)
        return cls_score.float(), bbox_pred.float()

    def loss_per_roi(
        self, cls_score: Tensor, bbox_pred: Tensor, labels: Tensor, bbox_targets: Tensor
    ) -> Tensor:
        """Classification plus box loss of every RoI, the two unweighted: (K,).

        Args:
            cls_score: (K, classes + 1).
            bbox_pred: (K, 4), or (K, 4 * classes) where boxes are class-specific.
            labels: (K,); ``num_classes`` is background.
            bbox_targets: (K, 4) encoded boxes.
        """
        loss = self.loss_cls(cls_score, labels, reduction_override='none')
        loss = loss / self.loss_cls.loss_weight
        foreground = labels < self.num_classes
        deltas = bbox_pred.view(len(labels), -1, 4)
        index = torch.zeros_like(labels) if self.reg_class_agnostic else labels
        rows = torch.arange(len(labels), device=labels.device)
        deltas = deltas[rows, index.clamp(max=deltas.shape[1] - 1)]
        box_loss = self.loss_bbox(deltas, bbox_targets, reduction_override='none').sum(dim=1)
        return loss + box_loss / self.loss_bbox.loss_weight * foreground

    def _predict_by_feat_single(
        self,
        roi: Tensor,
        cls_score: Tensor,
        bbox_pred: Tensor,
        img_meta: dict,
        rescale: bool = False,
        rcnn_test_cfg: ConfigDict | None = None,
    ) -> InstanceData:
        """Detections of one image; what mmdet's method returns, without suppressing all classes."""
        if rcnn_test_cfg is None or len(roi) == 0:
            return super()._predict_by_feat_single(
                roi, cls_score, bbox_pred, img_meta, rescale, rcnn_test_cfg
            )
        scores = self.class_scores(cls_score)
        return self.detections(roi, scores, bbox_pred, img_meta, rescale, rcnn_test_cfg)

    def class_scores(self, cls_score: Tensor) -> Tensor:
        """Logits (K, classes + 1) to the scores (K, classes) of detections."""
        return cls_score.softmax(dim=-1)[:, :-1]

    def detections(
        self,
        roi: Tensor,
        scores: Tensor,
        bbox_pred: Tensor,
        img_meta: dict,
        rescale: bool,
        rcnn_test_cfg: ConfigDict,
    ) -> InstanceData:
        """Detections of one image from RoIs (K, 5), scores (K, classes) and box deltas."""
        count = 1 if self.reg_class_agnostic else self.num_classes
        boxes = self.bbox_coder.decode(
            roi[:, 1:].repeat_interleave(count, dim=0),
            bbox_pred.view(-1, 4),
            max_shape=img_meta['img_shape'],
        )
        if rescale:
            boxes = scale_boxes(boxes, [1 / factor for factor in img_meta['scale_factor']])
        rois_index, labels = (scores > rcnn_test_cfg.score_thr).nonzero(as_tuple=True)
        scores = scores[rois_index, labels]
        boxes = boxes.view(len(roi), count, 4)[rois_index, 0 if count == 1 else labels]
        return suppress(boxes, scores, labels, rcnn_test_cfg.nms, rcnn_test_cfg.max_per_img)


def suppress(
    boxes: Tensor, scores: Tensor, labels: Tensor, nms_cfg: dict, max_num: int
) -> InstanceData:
    """What the suppression of ``nms_cfg`` leaves of boxes (N, 4), best first.

    Plain suppression stops at ``max_num`` boxes; soft and class-agnostic ones are mmcv's. All boxes
    where ``max_num`` is not positive.
    """
    if not len(scores):  # mmcv's fails without boxes
        return InstanceData(bboxes=boxes, scores=scores, labels=labels)
    if is_plain_nms(nms_cfg) and max_num > 0:
        keep = batched_nms_topk(boxes, scores, labels, nms_cfg['iou_threshold'], max_num)
        boxes, scores = boxes[keep], scores[keep]
    else:
        detections, keep = batched_nms(boxes, scores, labels, nms_cfg)
        keep = keep[:max_num] if max_num > 0 else keep
        boxes, scores = detections[: len(keep), :4], detections[: len(keep), 4]
    return InstanceData(bboxes=boxes, scores=scores, labels=labels[keep])
