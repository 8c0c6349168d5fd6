"""The convolutions of the detector, made ready for inference."""

from collections.abc import Sequence
from copy import deepcopy
from typing import NamedTuple

import torch
from mmcv.cnn import fuse_conv_bn
from mmdet.models.detectors import BaseDetector
from torch import Tensor, nn

from lighthead.deploy.unshuffled import (
    UnshuffledBackbone,
    can_unshuffle,
    last_conv,
    reorder_inputs,
    reorder_outputs,
)
from lighthead.models.context_pan import ContextPAN


class DenseMaps(NamedTuple):
    """The maps that everything else is made of.

    ``scores`` and ``boxes`` are the RPN's, of every level: logits (B, A, H, W), and
    (B, A * V, H, W) with V numbers per box; ``thin`` is (B, bins * channels, H, W).
    """

    scores: Sequence[Tensor]
    boxes: Sequence[Tensor]
    thin: Tensor

    def to(self, dtype: torch.dtype) -> 'DenseMaps':
        """All maps in another type."""
        scores, boxes = ([x.to(dtype) for x in levels] for levels in (self.scores, self.boxes))
        return DenseMaps(scores, boxes, self.thin.to(dtype))


class DenseNetwork(nn.Module):
    """Backbone, neck and RPN of a Light-Head R-CNN.

    Batch norm is folded, ShuffleNetV2's shuffles are gone, and the output channels of the thin
    map are in the order (bin, channel): its channels-last view is the table that PS-RoI align
    reads.

    Args:
        model: A detector; it is copied.
    """

    def __init__(self, model: BaseDetector) -> None:
        super().__init__()
        extractor = model.roi_head.bbox_roi_extractor
        bins = extractor.roi_layers[0].output_size
        self.channels = extractor.out_channels
        parts = nn.ModuleDict(
            dict(backbone=model.backbone, neck=model.neck, rpn_head=model.rpn_head)
        )
        parts = fuse_conv_bn(deepcopy(parts).eval()).requires_grad_(False)
        self.backbone, self.neck, self.rpn_head = parts.backbone, parts.neck, parts.rpn_head
        if can_unshuffle(self.backbone):
            self.backbone = UnshuffledBackbone(self.backbone)
            for reader, order in zip(self._map_readers(), self.backbone.orders, strict=True):
                for module in reader:
                    reorder_inputs(module, order)
        order = torch.arange(self.channels * bins[0] * bins[1]).view(self.channels, -1)
        for conv in self._thin_map_writers():
            reorder_outputs(conv, order.t().reshape(-1))

    def _map_readers(self) -> list[list[nn.Module]]:
        """For each map of the backbone, the modules that read it."""
        if isinstance(self.neck, ContextPAN):
            return [[lateral] for lateral in self.neck.laterals]
        return [[self.rpn_head.rpn_conv], [self.neck.tall_wide, self.neck.wide_tall]]

    def _thin_map_writers(self) -> list[nn.Conv2d]:
        """The convolutions whose outputs, summed, are the thin map."""
        if isinstance(self.neck, ContextPAN):
            return [] if self.neck.thin is None else [last_conv(self.neck.thin)]
        return [last_conv(self.neck.tall_wide), last_conv(self.neck.wide_tall)]

    def forward(self, images: Tensor) -> DenseMaps:
        """Images (B, 3, H, W) to the maps."""
        maps = self.neck(self.backbone(images))
        scores, boxes = self.rpn_head(maps)
        return DenseMaps(scores, boxes, maps[-1])
