"""The detector's fast path in eager torch, image by image where the counts differ."""

from typing import Self

import torch
from mmdet.models.detectors import BaseDetector
from torch import Tensor

from lighthead.deploy.fused_conv import fuse_convs
from lighthead.deploy.stages import LightHeadStages
from lighthead.ops.nms import batched_nms_topk
from lighthead.ops.ps_roi_align import pool_table


class EagerDetector(LightHeadStages):
    """A Light-Head R-CNN without mmdet around it; the results are mmdet's.

    Only surviving proposals are pooled and classified, all images together; the
    suppressions stop when they have enough.

    Args:
        model: A detector; it is copied.
        onednn: Whether to call oneDNN's fused convolutions (CPU).
    """

    def __init__(self, model: BaseDetector, onednn: bool = False) -> None:
        super().__init__(model)
        if onednn:
            fuse_convs(self.dense)

    def convolve_in(self, dtype: torch.dtype) -> Self:
        """Change the type that convolutions and fully connected layers compute in, in place.

        Coordinates, scores and PS-RoI align stay in float32.
        """
        self.dense.to(dtype)
        self.head.to(dtype)
        return self

    def forward(self, images: Tensor, sizes: Tensor) -> list[tuple[Tensor, Tensor, Tensor]]:
        """Detect.

        Args:
            images: (B, 3, H, W), normalised and padded.
            sizes: (B, 2) float32, (height, width) without padding.

        Returns:
            Boxes (N, 4), scores (N,) and labels (N,) of each image, best first.
        """
        s = self.settings
        logits, deltas, thin = self.maps(images)
        boxes, scores = self.candidates(logits, deltas, sizes)
        rois = []
        for image_boxes, image_scores in zip(boxes, scores, strict=True):
            count = int((image_scores >= 0).sum())
            if count < len(image_scores):  # too few anchors, or boxes without area
                real = image_scores >= 0
                image_boxes, image_scores = image_boxes[real], image_scores[real]
            keep = batched_nms_topk(image_boxes, image_scores, None, s.rpn_iou, s.max_proposals)
            rois.append(image_boxes[keep])
        counts = [len(image_rois) for image_rois in rois]
        index = [boxes.new_full((len(boxes), 1), image) for image, boxes in enumerate(rois)]
        indexed = torch.cat((torch.cat(index), torch.cat(rois)), dim=1)
        logits, deltas = self.classify(thin, indexed)
        answers = zip(
            rois, logits.softmax(1)[:, :-1].split(counts), deltas.split(counts), sizes, strict=True
        )
        return [self._detections(*answer) for answer in answers]

    def classify(self, thin: Tensor, rois: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (K, C + 1) and deltas (K, 4 or 4C) of RoIs (K, 5) as (image, x1, y1, x2, y2),
        from the thin map (B, bins * channels, H, W)."""
        s = self.settings
        table = thin.permute(0, 2, 3, 1).reshape(-1, self.dense.channels)
        pooled = pool_table(table, thin.shape, rois, s.bins, 1 / s.stride, s.sampling_ratio, s.mode)
        return self.head(pooled.flatten(1))

    def _detections(
        self, rois: Tensor, scores: Tensor, deltas: Tensor, size: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        s = self.settings
        per_roi = 1 if s.class_agnostic else s.num_classes
        boxes = self.box_decoder(rois[:, None], deltas.view(-1, per_roi, 4), size[None, None])
        index, labels = (scores > s.score_thr).nonzero(as_tuple=True)
        scores = scores[index, labels]
        boxes = boxes[index, 0 if s.class_agnostic else labels]
        keep = batched_nms_topk(boxes, scores, labels, s.final_iou, s.max_detections)
        return boxes[keep], scores[keep], labels[keep]
