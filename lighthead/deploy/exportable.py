"""The detector as one module of tensors, from a batch of images to padded boxes."""

from typing import Literal, NamedTuple

import torch
from mmdet.models.detectors import BaseDetector
from torch import Tensor

from lighthead.deploy.exportable_nms import suppress, suppress_op
from lighthead.deploy.exportable_pooling import TablePooling
from lighthead.deploy.stages import ABSENT, LightHeadStages, best

Form = Literal['torch', 'onnx']


class Outputs(NamedTuple):
    """Detections of a batch, padded to D per image, best first.

    ``boxes`` (B, D, 4) in pixels of the batch, zeros as padding; ``scores``
    (B, D), zero as padding; ``labels`` (B, D) int64, -1 as padding; ``num``
    (B,) int64.
    """

    boxes: Tensor
    scores: Tensor
    labels: Tensor
    num: Tensor


class ExportableDetector(LightHeadStages):
    """A Light-Head R-CNN without mmdet around it: tensors in, tensors out.

    Batch norm is folded. Only the proposals that survive the first suppression
    are pooled and classified, all images together. Everything is ordered by
    (score, index); torch, ONNX Runtime and OpenVINO agree up to rounding.

    Args:
        model: A detector; it is copied.
        form: ``'onnx'`` uses operators that become ONNX's TopK and
            NonMaxSuppression, ``'torch'`` those of torch and torchvision.
    """

    def __init__(self, model: BaseDetector, form: Form = 'torch') -> None:
        super().__init__(model)
        self.form = form
        self.pooling = TablePooling(self.settings, self.dense.channels)

    def forward(self, images: Tensor, sizes: Tensor) -> Outputs:
        """Detect.

        Args:
            images: (B, 3, H, W) float32, normalised, zeros as padding; H and W
                are multiples of 32.
            sizes: (B, 2) float32, (height, width) without padding.
        """
        logits, deltas, thin = self.dense(images)
        boxes, scores = self.candidates(logits, deltas, sizes)
        rois, images_of, slots = self.proposals(boxes, scores)
        logits, deltas = self.head(self.pooling(thin, rois, images_of).flatten(1))
        return self.detections(rois, images_of, slots, logits, deltas, sizes)

    def proposals(self, boxes: Tensor, scores: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What the first suppression keeps of all images.

        Returns:
            RoIs (K, 4), their images (K,), and their places (K,) in a list of
            ``max_proposals`` per image. The last RoI is only there so that
            there always is one; its place is after all others.
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
        rois = torch.cat((boxes.reshape(-1, 4)[flat], boxes.new_zeros(1, 4)))
        slots = torch.cat((image * s.max_proposals + rank, spare + batch * s.max_proposals))
        return rois, torch.cat((image, spare)), slots

    def detections(
        self,
        rois: Tensor,
        images_of: Tensor,
        slots: Tensor,
        logits: Tensor,
        deltas: Tensor,
        sizes: Tensor,
    ) -> Outputs:
        """The second suppression, and the best of what it keeps, padded."""
        s = self.settings
        batch = sizes.shape[0]
        per_roi = 1 if s.class_agnostic else s.num_classes
        scores = logits.softmax(dim=1)[:, :-1]
        boxes = self.box_decoder(
            rois[:, None], deltas.view(-1, per_roi, 4), sizes[images_of][:, None]
        )
        boxes = _place(boxes.flatten(1), slots, batch, s.max_proposals, 0.0)
        scores = _place(scores, slots, batch, s.max_proposals, ABSENT)
        kept = self._kept(boxes.view(batch, s.max_proposals, per_roi, 4), scores)
        top = self.best(kept, s.max_detections)
        scores = kept.gather(1, top)
        found = scores > ABSENT / 2
        labels = torch.where(found, top % s.num_classes, -1)
        index = top // s.num_classes if s.class_agnostic else top
        index = index.clamp(max=s.max_proposals * per_roi - 1)
        boxes = boxes.view(batch, -1, 4).gather(1, index.unsqueeze(-1).expand(-1, -1, 4))
        found_scores = torch.where(found, scores, 0.0)
        return Outputs(boxes * found.unsqueeze(-1), found_scores, labels, found.sum(1))

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
        # One place more, for runtimes that dislike an empty list of updates.
        spare = torch.zeros(1, dtype=torch.int64, device=flat.device) + total
        values = torch.cat((everything[flat], scores.new_full((1,), ABSENT)))
        filled = scores.new_full((total + 1,), ABSENT).scatter(0, torch.cat((flat, spare)), values)
        filled = filled[:total].view(batch, count * s.num_classes)
        missing = s.max_detections - count * s.num_classes
        if missing > 0:
            filled = torch.cat((filled, scores.new_full((batch, missing), ABSENT)), dim=1)
        return filled

    def best(self, scores: Tensor, count: int) -> Tensor:
        """See :func:`lighthead.deploy.stages.best`."""
        if self.form == 'onnx':  # ONNX's TopK breaks ties by the index
            return torch.topk(scores, count, dim=1).indices
        return best(scores, count)

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


def _place(values: Tensor, slots: Tensor, batch: int, count: int, padding: float) -> Tensor:
    """Rows (K, V) at their slots of (batch, count, V); what lies behind them is dropped."""
    placed = values.new_full((batch * count + 1, values.shape[1]), padding)
    placed = placed.index_put((slots,), values)
    return placed[:-1].view(batch, count, values.shape[1])
