"""The detector with shapes that are known beforehand, for CUDA graphs."""

import torch
from mmdet.models.detectors import BaseDetector
from torch import Tensor, nn

from lighthead.deploy.eager_suppression import EagerSuppression, RowPooling
from lighthead.deploy.proposals import ABSENT
from lighthead.deploy.stages import DetectorStages, Outputs, Rois
from lighthead.ops.fixed_nms import fixed_nms

CANDIDATES = 1024
"""So many of an image's candidates (RoI, class) reach the last suppression."""


def fixed_size_detector(model: BaseDetector) -> DetectorStages:
    """The stages of a detector without a look at a value on the way.

    Every image has ``max_proposals`` RoIs and ``max_detections`` detections, some of them
    padding; suppression works on masks. So nothing waits for the device, and the whole
    computation can be recorded. Where its limits do not suffice for an image, ``exact`` says so,
    and :func:`lighthead.deploy.eager_suppression.eager_detector` has the answer.
    """
    return DetectorStages(model, FixedSizeSuppression, RowPooling)


class FixedSizeSuppression(EagerSuppression):
    """See :class:`lighthead.deploy.stages.Suppression`."""

    def rois(self, boxes: Tensor, scores: Tensor) -> Rois:
        """``max_proposals`` RoIs per image, some of them padding."""
        s = self.settings
        first = fixed_nms(boxes, scores > ABSENT, s.rpn_iou)
        rows = torch.cat((boxes, scores[..., None]), dim=2)
        rows, real = _first_kept(rows, first.kept, s.max_proposals)
        slots = torch.arange(real.numel(), device=boxes.device).view_as(real)
        images = (slots // s.max_proposals).flatten()
        slots = torch.where(real, slots, real.numel()).flatten()
        boxes, scores = rows[..., :4].flatten(0, 1), rows[..., 4].flatten()
        return Rois(boxes, scores, images, slots, first.settled)

    def detections(self, scores: Tensor, boxes: Tensor, rois: Rois, batch: int) -> Outputs:
        """``max_detections`` per image, some of them padding."""
        s = self.settings
        real = (rois.slots < len(rois.slots))[:, None] & (scores > s.score_thr)
        scores = torch.where(real, scores, ABSENT).view(batch, -1)
        boxes = boxes.reshape(batch, -1, 4)
        taken = min(CANDIDATES, scores.shape[1])
        index = self.topk(scores, taken)
        labels = index % s.num_classes
        row = index // s.num_classes if s.class_agnostic else index
        chosen = boxes.gather(1, row[..., None].expand(-1, -1, 4))
        chosen_scores = scores.gather(1, index)
        second = fixed_nms(chosen.double(), chosen_scores > ABSENT, s.final_iou, labels)
        rows = torch.cat((chosen, chosen_scores[..., None], labels[..., None].float()), dim=2)
        rows, real = _first_kept(rows, second.kept, s.max_detections)
        num = real.sum(1)
        # Candidates that were left out count only where there is still room.
        complete = (scores > ABSENT).sum(1) <= taken
        assert rois.exact is not None  # rois() says so
        exact = rois.exact & second.settled & (complete | (num == s.max_detections))
        labels = torch.where(real, rows[..., 5].long(), -1)
        return Outputs(rows[..., :4], rows[..., 4], labels, num, exact)


def _first_kept(rows: Tensor, kept: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The first ``count`` kept of rows (B, N, V), padded with zeros: (B, count, V), (B, count)."""
    batch, _, width = rows.shape
    rank = kept.cumsum(1)
    slot = torch.where(kept & (rank <= count), rank - 1, count)
    first = rows.new_zeros(batch, count + 1, width)
    first = first.scatter(1, slot[..., None].expand(-1, -1, width), rows)[:, :count]
    total = rank[:, -1:].clamp(max=count)
    return first, torch.arange(count, device=rows.device) < total


def pack(outputs: Outputs) -> Tensor:
    """Everything in one tensor, so that one transfer fetches it.

    Returns:
        (B, D + 1, 6) float32. Rows 0 to D - 1: x1, y1, x2, y2, score, label. Row D: how many of
        them are detections; whether they are exact, 1 or 0; zeros.
    """
    rows = torch.cat(
        (outputs.boxes, outputs.scores[..., None], outputs.labels[..., None].float()), dim=2
    )
    assert outputs.exact is not None  # a suppression of fixed size says so
    last = torch.stack((outputs.num, outputs.exact), dim=1).to(rows.dtype)
    last = nn.functional.pad(last, (0, rows.shape[2] - last.shape[1]))
    return torch.cat((rows, last[:, None]), dim=1)


def unpack(packed: Tensor) -> Outputs:
    """What :func:`pack` packed."""
    rows, last = packed[:, :-1], packed[:, -1]
    return Outputs(
        rows[..., :4], rows[..., 4], rows[..., 5].long(), last[:, 0].long(), last[:, 1].bool()
    )
