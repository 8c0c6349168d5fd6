"""The detector as plain tensor code, for eager inference, CUDA graphs and export.

It is written once. What the three need done differently is handed in: the suppression, since
shapes that depend on values can neither be recorded nor be written to every format, and the
pooling, since an embedding bag cannot be exported.
"""

from collections.abc import Callable
from copy import copy, deepcopy
from typing import NamedTuple, Protocol, Self

import torch
from mmdet.models.detectors import BaseDetector
from mmdet.models.roi_heads.bbox_heads import BBoxHead
from torch import Tensor, nn

from lighthead.deploy.box_decoding import DeltaDecoder
from lighthead.deploy.dense import DenseMaps, DenseNetwork
from lighthead.deploy.inference_settings import InferenceSettings
from lighthead.deploy.model_settings import read_settings
from lighthead.deploy.proposals import Candidates
from lighthead.models.quality_roi_head import QualityRoIHead


class Rois(NamedTuple):
    """The RoIs of a batch, image by image.

    ``boxes`` (K, 4); ``scores`` (K,), the RPN's, at least 0; ``images`` (K,) int64; ``slots`` (K,)
    int64: ``max_proposals`` times the image plus the rank in it, or ``max_proposals`` times B for
    a RoI that is only padding. ``exact`` (B,) bool, from a suppression of fixed size: whether it
    sufficed for the image.
    """

    boxes: Tensor
    scores: Tensor
    images: Tensor
    slots: Tensor
    exact: Tensor | None = None


class Outputs(NamedTuple):
    """Detections of a batch, padded to D per image, best first.

    ``boxes`` (B, D, 4) in pixels of the batch, zeros as padding; ``scores`` (B, D), zero as
    padding; ``labels`` (B, D) int64, -1 as padding; ``num`` (B,) int64. ``exact`` (B,) bool, from
    a suppression of fixed size: whether it sufficed for the image.
    """

    boxes: Tensor
    scores: Tensor
    labels: Tensor
    num: Tensor
    exact: Tensor | None = None


class Suppression(Protocol):
    """Both suppressions of the detector."""

    def topk(self, scores: Tensor, count: int) -> Tensor:
        """Indices (B, count) of the best of (B, N >= count), by (score, index)."""
        ...

    def rois(self, boxes: Tensor, scores: Tensor) -> Rois:
        """The proposals among candidates (B, N, 4), best first, with scores (B, N)."""
        ...

    def detections(self, scores: Tensor, boxes: Tensor, rois: Rois, batch: int) -> Outputs:
        """The detections among RoIs with class scores (K, C) and boxes (K, 1 or C, 4)."""
        ...


Pooling = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Thin map (B, bins * channels, H, W), RoIs (K, 4), their images (K,) to (K, bins, channels)."""


class DetectorStages(nn.Module):
    """What a Light-Head R-CNN computes, without mmdet around it.

    Args:
        model: A detector; it is copied.
        suppression: Made from the detector's settings.
        pooling: Made from the settings and the thin map's channels per bin.

    Raises:
        UserError: it is no Light-Head R-CNN, or does something that is not known here.
    """

    def __init__(
        self,
        model: BaseDetector,
        suppression: Callable[[InferenceSettings], Suppression],
        pooling: Callable[[InferenceSettings, int], Pooling],
    ) -> None:
        super().__init__()
        self.settings = read_settings(model)
        self.dense = DenseNetwork(model)
        self.candidates = Candidates(model)
        self.head = RCNNHead(model.roi_head.bbox_head, self.dense.channels)
        self.box_decoder = DeltaDecoder(model.roi_head.bbox_head.bbox_coder)
        self.class_scores = class_scores_of(model)
        self.suppression = suppression(self.settings)
        self.pooling = pooling(self.settings, self.dense.channels)

    def with_suppression(self, suppression: Callable[[InferenceSettings], Suppression]) -> Self:
        """The same stages, with the same weights, and another suppression."""
        other = copy(self)
        other.suppression = suppression(self.settings)
        return other

    def convolve_in(self, dtype: torch.dtype) -> Self:
        """Change the type that convolutions and fully connected layers compute in, in place.

        Coordinates, scores and PS-RoI align stay in float32.
        """
        self.dense.to(dtype)
        self.head.to(dtype)
        return self

    def forward(self, images: Tensor, sizes: Tensor) -> Outputs:
        """Detect.

        Args:
            images: (B, 3, H, W), normalised, zeros as padding; H and W are multiples of 32.
            sizes: (B, 2) float32, (height, width) without padding.
        """
        return self.detect_in(self.dense_maps(images), sizes)

    def detect_in(self, maps: DenseMaps, sizes: Tensor) -> Outputs:
        """From the maps of a batch to its detections."""
        candidates = self.candidates(maps.scores, maps.boxes, sizes, self.suppression.topk)
        rois = self.suppression.rois(*candidates)
        scores, boxes = self.classify(maps.thin, rois, sizes)
        return self.suppression.detections(scores, boxes, rois, sizes.shape[0])

    def dense_maps(self, images: Tensor) -> DenseMaps:
        """The maps of the convolutions, in float32 whatever these compute in."""
        return self.dense(images.to(self.head.dtype)).to(torch.float32)

    def classify(self, thin: Tensor, rois: Rois, sizes: Tensor) -> tuple[Tensor, Tensor]:
        """The second stage: class scores (K, C) and boxes (K, 1 or C, 4) of every RoI."""
        pooled = self.pooling(thin, rois.boxes, rois.images)
        logits, deltas = self.head(pooled.flatten(1))
        per_roi = 1 if self.settings.class_agnostic else self.settings.num_classes
        deltas = deltas.view(-1, per_roi, 4)
        boxes = self.box_decoder(rois.boxes[:, None], deltas, sizes[rois.images][:, None])
        return self.class_scores(logits, rois.scores), boxes


class RCNNHead(nn.Module):
    """The shared fc and its two siblings: pooled (K, bins * channels) to logits and deltas.

    Args:
        bbox_head: mmdet's, whose first fc reads (channel, bin); it is copied.
        channels: Channels per bin.
    """

    def __init__(self, bbox_head: BBoxHead, channels: int) -> None:
        super().__init__()
        bbox_head = deepcopy(bbox_head).requires_grad_(False)
        (self.shared,) = bbox_head.shared_fcs
        self.classify, self.regress = bbox_head.fc_cls, bbox_head.fc_reg
        weight = self.shared.weight
        weight = weight.view(len(weight), channels, -1).transpose(1, 2).reshape(len(weight), -1)
        self.shared.weight = nn.Parameter(weight, requires_grad=False)

    def forward(self, pooled: Tensor) -> tuple[Tensor, Tensor]:
        hidden = self.shared(pooled.to(self.dtype)).relu_()
        return self.classify(hidden).float(), self.regress(hidden).float()

    @property
    def dtype(self) -> torch.dtype:
        """In which it computes; its answers are float32."""
        return self.shared.weight.dtype


class SoftmaxScores(nn.Module):
    """Class scores of a head whose last logit is the background's."""

    def forward(self, logits: Tensor, rpn_scores: Tensor) -> Tensor:
        """Logits (K, C + 1) to scores (K, C)."""
        return logits.softmax(dim=1)[:, :-1]


class JointScores(nn.Module):
    """Weighted geometric mean of the RPN's score and the class score, as in QualityRoIHead.

    Args:
        rpn_weight: Share of the RPN's score, in 0..1.
    """

    def __init__(self, rpn_weight: float) -> None:
        super().__init__()
        self.rpn_weight = rpn_weight

    def forward(self, logits: Tensor, rpn_scores: Tensor) -> Tensor:
        """Logits (K, C) and the RPN's scores (K,) to scores (K, C)."""
        own = logits.sigmoid()
        return own.pow(1 - self.rpn_weight) * rpn_scores[:, None].pow(self.rpn_weight)


def class_scores_of(model: BaseDetector) -> nn.Module:
    """How the second stage's logits become class scores."""
    if isinstance(model.roi_head, QualityRoIHead):
        return JointScores(model.roi_head.rpn_weight)
    return SoftmaxScores()
