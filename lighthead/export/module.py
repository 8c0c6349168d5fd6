"""The detector as one module of tensors, from a batch of images to padded boxes."""

from copy import deepcopy
from typing import Literal, NamedTuple

import torch
from mmcv.cnn import fuse_conv_bn
from mmdet.models.detectors import BaseDetector
from torch import Tensor, nn

from lighthead.export.network import DenseNetwork
from lighthead.export.pooling import TablePooling
from lighthead.export.settings import BoxDecoder, Settings
from lighthead.export.suppression import best, suppress, suppress_op

Form = Literal['torch', 'onnx']
ABSENT = -1.0
"""Score of what is only padding."""


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


class ExportableDetector(nn.Module):
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
        super().__init__()
        self.settings = Settings.from_model(model)
        self.form = form
        model = fuse_conv_bn(deepcopy(model).eval()).requires_grad_(False)
        self.dense = DenseNetwork(model)
        generator = model.rpn_head.prior_generator
        self.register_buffer('base_anchors', generator.base_anchors[0].clone())
        self.proposal_decoder = BoxDecoder(model.rpn_head.bbox_coder)
        self.pooling = TablePooling(self.settings, self.dense.channels)
        self.head = _head(model.roi_head.bbox_head, self.dense.channels)
        self.box_decoder = BoxDecoder(model.roi_head.bbox_head.bbox_coder)

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

    def candidates(self, logits: Tensor, deltas: Tensor, sizes: Tensor) -> tuple[Tensor, Tensor]:
        """The best anchors' boxes (B, nms_pre, 4) and scores (B, nms_pre), best first."""
        s = self.settings
        batch, anchors, height, width = logits.shape
        scores = logits.permute(0, 2, 3, 1).flatten(1).sigmoid()
        deltas = deltas.permute(0, 2, 3, 1).reshape(batch, -1, 4)
        # Padding lets images with fewer anchors through, with shapes that never change.
        padding = scores.new_full((batch, s.nms_pre), ABSENT)
        index = self._best(torch.cat((scores, padding), dim=1), s.nms_pre)
        real = index < scores.shape[1]
        index = torch.where(real, index, 0)
        shift = self._shifts(height, width)[index // anchors]
        priors = self.base_anchors[index % anchors] + shift
        deltas = deltas.gather(1, index.unsqueeze(-1).expand(-1, -1, 4))
        boxes = self.proposal_decoder(priors, deltas, sizes[:, None])
        sides = boxes[..., 2:] - boxes[..., :2]
        real = real & (sides[..., 0] > s.min_size) & (sides[..., 1] > s.min_size)
        return boxes, torch.where(real, scores.gather(1, index), ABSENT)

    def _shifts(self, height: int, width: int) -> Tensor:
        """Where the anchors' origins lie: (height * width, 4) as x, y, x, y in pixels."""
        device = self.base_anchors.device
        x = torch.arange(width, device=device) * self.settings.anchor_stride[0]
        y = torch.arange(height, device=device) * self.settings.anchor_stride[1]
        grid = torch.stack((x[None].expand(height, width), y[:, None].expand(height, width)), -1)
        grid = grid.reshape(-1, 2).to(self.base_anchors.dtype)
        return torch.cat((grid, grid), dim=-1)

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
        top = self._best(kept, s.max_detections)
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

    def _best(self, scores: Tensor, count: int) -> Tensor:
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


class _Head(nn.Module):
    """The fc of 2048 and its two siblings."""

    def __init__(self, shared: nn.Linear, classify: nn.Linear, regress: nn.Linear) -> None:
        super().__init__()
        self.shared, self.classify, self.regress = shared, classify, regress

    def forward(self, pooled: Tensor) -> tuple[Tensor, Tensor]:
        hidden = self.shared(pooled).relu()
        return self.classify(hidden), self.regress(hidden)


def _head(bbox_head: nn.Module, channels: int) -> _Head:
    """Its first layer reads (bin, channel) instead of (channel, bin)."""
    (shared,) = bbox_head.shared_fcs
    weight = shared.weight.view(shared.out_features, channels, -1).transpose(1, 2)
    shared.weight = nn.Parameter(weight.reshape(shared.out_features, -1), requires_grad=False)
    return _Head(shared, bbox_head.fc_cls, bbox_head.fc_reg)


def _place(values: Tensor, slots: Tensor, batch: int, count: int, padding: float) -> Tensor:
    """Rows (K, V) at their slots of (batch, count, V); what lies behind them is dropped."""
    placed = values.new_full((batch * count + 1, values.shape[1]), padding)
    placed = placed.index_put((slots,), values)
    return placed[:-1].view(batch, count, values.shape[1])
