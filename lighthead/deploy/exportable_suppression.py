"""The detector in operators that files can hold: every format, any batch and image size."""

from functools import partial
from typing import Literal

import torch
from mmdet.models.detectors import BaseDetector
from torch import Tensor

from lighthead.deploy.exportable_pooling import TablePooling
from lighthead.deploy.inference_settings import InferenceSettings
from lighthead.deploy.proposals import ABSENT
from lighthead.deploy.stages import DetectorStages, Outputs, Rois
from lighthead.deploy.suppress_operator import suppress, suppress_op
from lighthead.deploy.topk import stable_topk

Form = Literal['torch', 'onnx']


def exportable_detector(model: BaseDetector, form: Form = 'torch') -> DetectorStages:
    """The stages of a detector for export.

    Only the proposals that survive the first suppression are pooled and classified, all images
    together. Everything is ordered by (score, index); torch, ONNX Runtime and OpenVINO agree up
    to rounding.

    Args:
        model: A detector; it is copied.
        form: ``'onnx'`` uses operators that become ONNX's TopK and NonMaxSuppression, ``'torch'``
            those of torch and torchvision.
    """
    return DetectorStages(model, partial(ExportableSuppression, form=form), TablePooling)


class ExportableSuppression:
    """See :class:`lighthead.deploy.stages.Suppression`."""

    def __init__(self, settings: InferenceSettings, form: Form) -> None:
        self.settings, self.form = settings, form

    def topk(self, scores: Tensor, count: int) -> Tensor:
        """See :class:`lighthead.deploy.stages.Suppression`."""
        if self.form == 'onnx':  # ONNX's TopK breaks ties by the index
            return torch.topk(scores, count, dim=1).indices
        return stable_topk(scores, count)

    def rois(self, boxes: Tensor, scores: Tensor) -> Rois:
        """What the first suppression keeps of all images.

        The last RoI is padding: it is only there so that there always is one.
        """
        s = self.settings
        batch, count = scores.shape
        kept = self._suppress(boxes, scores.unsqueeze(1), s.max_proposals, s.rpn_iou, ABSENT / 2)
        image, index = kept[:, 0], kept[:, 2]
        flat = image * count + index
        mask = torch.zeros(batch * count, dtype=torch.int64, device=boxes.device)
        mask = mask.scatter(0, flat, torch.ones_like(flat))
        rank = mask.view(batch, count).cumsum(1).reshape(-1)[flat] - 1
        spare = torch.zeros(1, dtype=torch.int64, device=boxes.device)
        return Rois(
            torch.cat((boxes.reshape(-1, 4)[flat], boxes.new_zeros(1, 4))),
            torch.cat((scores.reshape(-1)[flat], scores.new_zeros(1))),
            torch.cat((image, spare)),
            torch.cat((image * s.max_proposals + rank, spare + batch * s.max_proposals)),
        )

    def detections(self, scores: Tensor, boxes: Tensor, rois: Rois, batch: int) -> Outputs:
        """The second suppression, and the best of what it keeps, padded."""
        s = self.settings
        per_roi = boxes.shape[1]
        boxes = _rows_at(boxes.flatten(1), rois.slots, batch, s.max_proposals, 0.0)
        scores = _rows_at(scores, rois.slots, batch, s.max_proposals, ABSENT)
        kept = self._kept(boxes.view(batch, s.max_proposals, per_roi, 4), scores)
        top = self.topk(kept, s.max_detections)
        scores = kept.gather(1, top)
        real = scores > ABSENT / 2
        labels = torch.where(real, top % s.num_classes, -1)
        index = top // s.num_classes if s.class_agnostic else top
        index = index.clamp(max=s.max_proposals * per_roi - 1)
        boxes = boxes.view(batch, -1, 4).gather(1, index.unsqueeze(-1).expand(-1, -1, 4))
        scores = torch.where(real, scores, 0.0)
        return Outputs(boxes * real.unsqueeze(-1), scores, labels, real.sum(1))

    def _kept(self, boxes: Tensor, scores: Tensor) -> Tensor:
        """Scores (B, R * C) of boxes (B, R, 1 or C, 4) with scores (B, R, C) that survive;
        -1 elsewhere. Padded to D where R * C is less."""
        s = self.settings
        batch, count = scores.shape[0], s.max_proposals
        by_class = scores.transpose(1, 2)
        score_thr = scores.new_full((1,), s.score_thr)
        if s.max_candidates is not None:
            least = scores.flatten(1).topk(s.max_candidates, dim=1).values[:, -1]
            score_thr = torch.maximum(score_thr, least.amin(dim=0, keepdim=True))
        if s.class_agnostic:
            grouped = boxes.squeeze(2)
        else:
            grouped = boxes.transpose(1, 2).reshape(-1, count, 4)
            by_class = by_class.reshape(-1, 1, count)
        kept = self._suppress(grouped, by_class, s.max_detections, s.final_iou, score_thr)
        if s.class_agnostic:
            flat = (kept[:, 0] * count + kept[:, 2]) * s.num_classes + kept[:, 1]
        else:
            image, label = kept[:, 0] // s.num_classes, kept[:, 0] % s.num_classes
            flat = (image * count + kept[:, 2]) * s.num_classes + label
        everything = scores.reshape(-1)
        total = batch * count * s.num_classes
        # One entry more, for runtimes that dislike an empty list of updates.
        spare = torch.zeros(1, dtype=torch.int64, device=flat.device) + total
        values = torch.cat((everything[flat], scores.new_full((1,), ABSENT)))
        filled = scores.new_full((total + 1,), ABSENT).scatter(0, torch.cat((flat, spare)), values)
        filled = filled[:total].view(batch, count * s.num_classes)
        missing = s.max_detections - count * s.num_classes
        if missing > 0:
            filled = torch.cat((filled, scores.new_full((batch, missing), ABSENT)), dim=1)
        return filled

    def _suppress(
        self,
        boxes: Tensor,
        scores: Tensor,
        max_num: int,
        iou_threshold: float,
        score_thr: float | Tensor,
    ) -> Tensor:
        if self.form == 'torch':
            return suppress(boxes, scores, max_num, iou_threshold, score_thr)
        if not isinstance(score_thr, Tensor):
            score_thr = torch.full((1,), score_thr)
        return suppress_op(boxes, scores, max_num, iou_threshold, score_thr)


def _rows_at(values: Tensor, slots: Tensor, batch: int, count: int, padding: float) -> Tensor:
    """Rows (K, V) at their slots of (batch, count, V); the slot after them is dropped."""
    rows = values.new_full((batch * count + 1, values.shape[1]), padding)
    rows = rows.index_put((slots,), values)
    return rows[:-1].view(batch, count, values.shape[1])
