"""The convolutions of an exported detector: from images to RPN outputs and the thin map's table."""

import torch
from mmdet.models.detectors import BaseDetector
from torch import Tensor, nn


class DenseNetwork(nn.Module):
    """Backbone, large separable convolution and RPN, with batch norm already folded.

    The output channels of the thin map are put in the order (bin, channel), so
    that its channels-last view is the table that PS-RoI align reads.

    Args:
        model: A Light-Head R-CNN whose norms are folded; its neck is changed.
    """

    def __init__(self, model: BaseDetector) -> None:
        super().__init__()
        self.backbone = model.backbone
        self.neck = model.neck
        self.rpn_head = model.rpn_head
        extractor = model.roi_head.bbox_roi_extractor
        self.bins = extractor.roi_layers[0].output_size
        self.channels = extractor.out_channels
        for branch in (self.neck.tall_wide, self.neck.wide_tall):
            _reorder_outputs(branch[-1], self.channels, self.bins[0] * self.bins[1])

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Images (B, 3, H, W) to the three maps that everything else is made of.

        Returns:
            RPN logits (B, A, H4, W4), box deltas (B, 4A, H4, W4) and the thin map
            (B, bins * channels, H5, W5).
        """
        maps = self.neck(self.backbone(images))
        scores, deltas = self.rpn_head(maps)
        return scores[0], deltas[0], maps[-1]


@torch.no_grad()
def _reorder_outputs(conv: nn.Conv2d, channels: int, bins: int) -> None:
    """From output channel ``c * bins + bin`` to ``bin * channels + c``."""
    order = torch.arange(channels * bins).view(channels, bins).t().reshape(-1)
    conv.weight = nn.Parameter(conv.weight[order].contiguous(), requires_grad=False)
    conv.bias = nn.Parameter(conv.bias[order].contiguous(), requires_grad=False)
