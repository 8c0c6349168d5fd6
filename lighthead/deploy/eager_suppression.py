"""The detector in eager torch: image by image where the counts differ."""

import torch
from mmdet.models.detectors import BaseDetector
from torch import Tensor, nn

from lighthead.deploy.inference_settings import InferenceSettings
from lighthead.deploy.proposals import ABSENT
from lighthead.deploy.stages import DetectorStages, Outputs, Rois
from lighthead.deploy.topk import stable_topk
from lighthead.ops.nms import batched_nms_topk
from lighthead.ops.ps_roi_align import pool_table


def eager_detector(model: BaseDetector) -> DetectorStages:
    """The stages of a detector for eager calls; the results are mmdet's.

    Only surviving proposals are pooled and classified, all images together; the suppressions
    stop when they have enough.
    """
    return DetectorStages(model, EagerSuppression, RowPooling)


class RowPooling(nn.Module):
    """PS-RoI align by :func:`lighthead.ops.ps_roi_align.pool_table`.

    Args:
        settings: Bins, stride, samples per axis, average or maximum.
        channels: Channels per bin.
    """

    def __init__(self, settings: InferenceSettings, channels: int) -> None:
        super().__init__()
        self.channels, self.bins, self.scale = channels, settings.bins, 1 / settings.stride
        self.samples, self.mode = settings.sampling_ratio, settings.mode

    def forward(self, thin: Tensor, rois: Tensor, images: Tensor) -> Tensor:
        """See :data:`lighthead.deploy.stages.Pooling`."""
        table = thin.permute(0, 2, 3, 1).reshape(-1, self.channels)
        rois = torch.cat((images[:, None].to(rois.dtype), rois), dim=1)
        return pool_table(table, thin.shape, rois, self.bins, self.scale, self.samples, self.mode)


class EagerSuppression:
    """See :class:`lighthead.deploy.stages.Suppression`.

    Args:
        settings: Of the detector.
        score_thr: Of one call: of the detections with a lower score, only an image's best one
            comes, and that where no other does.
    """

    def __init__(self, settings: InferenceSettings, score_thr: float = 0.0) -> None:
        self.settings, self.score_thr = settings, score_thr

    def topk(self, scores: Tensor, count: int) -> Tensor:
        """See :func:`lighthead.deploy.topk.stable_topk`."""
        return stable_topk(scores, count)

    def rois(self, boxes: Tensor, scores: Tensor) -> Rois:
        """The proposals of all images, one after the other."""
        s = self.settings
        by_image = []
        for image, (image_boxes, image_scores) in enumerate(zip(boxes, scores, strict=True)):
            real = image_scores > ABSENT
            if not real.all():  # too few anchors, or boxes without area
                image_boxes, image_scores = image_boxes[real], image_scores[real]
            keep = batched_nms_topk(image_boxes, image_scores, None, s.rpn_iou, s.max_proposals)
            index = torch.full_like(keep, image)
            slots = torch.arange(len(keep), device=keep.device) + image * s.max_proposals
            by_image.append((image_boxes[keep], image_scores[keep], index, slots))
        return Rois(*(torch.cat(values) for values in zip(*by_image, strict=True)))

    def detections(self, scores: Tensor, boxes: Tensor, rois: Rois, batch: int) -> Outputs:
        """The detections of every image, padded."""
        counts = torch.bincount(rois.images, minlength=batch).tolist()
        by_image = [
            self._of_image(*values)
            for values in zip(scores.split(counts), boxes.split(counts), strict=True)
        ]
        most = self.settings.max_detections
        boxes, scores, labels = (
            torch.stack([_padded(values, most, padding) for values in column])
            for column, padding in zip(zip(*by_image, strict=True), (0, 0, -1), strict=True)
        )
        num = torch.tensor([len(kept) for *_, kept in by_image], device=scores.device)
        return Outputs(boxes, scores, labels, num)

    def _of_image(self, scores: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Boxes (N, 4), scores (N,) and labels (N,) of one image's RoIs."""
        s = self.settings
        candidates = scores > s.score_thr
        if self.score_thr > s.score_thr and scores.numel():
            candidates &= scores >= scores.max().clamp(max=self.score_thr)
        index, labels = candidates.nonzero(as_tuple=True)
        scores = scores[index, labels]
        boxes = boxes[index, 0 if s.class_agnostic else labels]
        keep = batched_nms_topk(boxes, scores, labels, s.final_iou, s.max_detections)
        return boxes[keep], scores[keep], labels[keep]


def _padded(values: Tensor, count: int, padding: float) -> Tensor:
    """The first rows of (N, ...), and padding up to ``count``."""
    rest = values.new_full((count - len(values), *values.shape[1:]), padding)
    return torch.cat((values, rest))
