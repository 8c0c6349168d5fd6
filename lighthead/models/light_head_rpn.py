"""The region proposal network, on C4 alone (Light-Head R-CNN, arXiv 1711.07264, section 3.3)."""

from typing import Any

import torch
from mmdet.models import RPNHead
from mmdet.models.task_modules.prior_generators import anchor_inside_flags
from mmdet.registry import MODELS
from mmdet.structures.bbox import scale_boxes
from mmdet.utils import reduce_mean
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData
from torch import Tensor

from lighthead.models.proposal_record import ProposalRecord
from lighthead.ops.nms import batched_nms_topk, is_plain_nms


@MODELS.register_module()
class LightHeadRPN(ProposalRecord, RPNHead):
    """mmdet's RPN head on the first of the feature maps (C4, thin map).

    The loss and the prediction both go through :meth:`forward`, so picking the
    map there suffices. Proposals are the same as mmdet's; plain suppression stops
    as soon as ``max_per_img`` boxes have survived.
    """

    train_cfg: dict

    def forward(self, x: tuple[Tensor, ...]) -> tuple[list[Tensor], list[Tensor]]:
        """Scores (B, A, H4, W4) and box deltas (B, 4A, H4, W4), each in a list of one level.

        They are float32 also under autocast: mmdet makes anchors and boxes in the type of the
        scores, and bf16 has steps of 4 pixels near 1000.
        """
        scores, deltas = super().forward(x[:1])
        return [score.float() for score in scores], [delta.float() for delta in deltas]

    def get_targets(self, anchor_list: list[list[Tensor]], *args: Any, **kwargs: Any) -> tuple:
        """mmdet's targets; the divisor of the losses is the mean over the processes.

        A process may find fewer than 256 anchors in an image, and mmdet counts an image without
        a positive one as 257: with a divisor of its own, its images would weigh more or less.
        """
        targets = super().get_targets(anchor_list, *args, **kwargs)
        divisor = anchor_list[0][0].new_tensor(targets[4])
        return (*targets[:4], reduce_mean(divisor), *targets[5:])

    def _get_targets_single(
        self,
        flat_anchors: Tensor,
        valid_flags: Tensor,
        gt_instances: InstanceData,
        img_meta: dict,
        *args: Any,
        **kwargs: Any,
    ) -> tuple:
        """mmdet's targets of one image; without an anchor inside the image, all its anchors count.

        mmdet stops there. It happens where an image is hardly larger than the smallest anchor.
        """
        config = self.train_cfg
        inside = anchor_inside_flags(
            flat_anchors, valid_flags, img_meta['img_shape'][:2], config['allowed_border']
        )
        if not inside.any():
            self.train_cfg = dict(config, allowed_border=-1)
        try:
            return super()._get_targets_single(
                flat_anchors, valid_flags, gt_instances, img_meta, *args, **kwargs
            )
        finally:
            self.train_cfg = config

    def _bbox_post_process(
        self,
        results: InstanceData,
        cfg: ConfigDict,
        rescale: bool = False,
        with_nms: bool = True,
        img_meta: dict | None = None,
    ) -> InstanceData:
        """Drop degenerate boxes, suppress the overlapping ones, keep the best."""
        if not is_plain_nms(cfg.nms):
            return super()._bbox_post_process(results, cfg, rescale, with_nms, img_meta)
        boxes, scores = results.bboxes, results.scores
        if rescale and img_meta is not None:
            boxes = scale_boxes(boxes, [1 / factor for factor in img_meta['scale_factor']])
        sides = boxes[:, 2:] - boxes[:, :2]
        valid = (sides > cfg.get('min_bbox_size', 0)).all(dim=1)
        boxes, scores = boxes[valid], scores[valid]
        keep = batched_nms_topk(boxes, scores, None, cfg.nms.iou_threshold, cfg.max_per_img)
        labels = torch.zeros_like(keep)
        return InstanceData(bboxes=boxes[keep], scores=scores[keep], labels=labels)
