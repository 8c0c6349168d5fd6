"""The convolutions of the detector, made ready for inference."""

from copy import deepcopy

import torch
from mmcv.cnn import fuse_conv_bn
from mmdet.models.detectors import BaseDetector
from torch import Tensor, nn

from lighthead.deploy.unshuffled import (
    UnshuffledBackbone,
    can_unshuffle,
    reorder_inputs,
    reorder_outputs,
)


class DenseNetwork(nn.Module):
    """Backbone, large separable convolution and RPN of a Light-Head R-CNN.

    Batch norm is folded, ShuffleNetV2's shuffles are gone, and the output
    channels of the thin map are in the order (bin, channel): its channels-last
    view is the table that PS-RoI align reads.

    Args:
        model: A detector; it is copied.
    """

    def __init__(self, model: BaseDetector) -> None:
        super().__init__()
        extractor = model.roi_head.bbox_roi_extractor
        tall, wide = extractor.roi_layers[0].output_size
        self.channels = extractor.out_channels
        parts = nn.ModuleDict(
            dict(backbone=model.backbone, neck=model.neck, rpn_head=model.rpn_head)
        )
        parts = fuse_conv_bn(deepcopy(parts).eval()).requires_grad_(False)
        self.backbone, neck, rpn = parts.backbone, parts.neck, parts.rpn_head
        branches = (neck.tall_wide, neck.wide_tall)
        if can_unshuffle(self.backbone):
            self.backbone = UnshuffledBackbone(self.backbone)
            reorder_inputs(rpn.rpn_conv, self.backbone.orders[0])
            for branch in branches:
                reorder_inputs(branch, self.backbone.orders[-1])
        order = torch.arange(self.channels * tall * wide).view(self.channels, -1).t().reshape(-1)
        for branch in branches:
            reorder_outputs(branch[-1], order)
        self.tall_wide, self.wide_tall = branches
        self.rpn_conv = nn.Sequential(rpn.rpn_conv, nn.ReLU(inplace=True))
        self.rpn_cls, self.rpn_reg = rpn.rpn_cls, rpn.rpn_reg

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Images (B, 3, H, W) to the three maps that everything else is made of.

        Returns:
            RPN logits (B, A, H4, W4), box deltas (B, 4A, H4, W4) and the thin map
            (B, bins * channels, H5, W5).
        """
        c4, c5 = self.backbone(images)
        shared = self.rpn_conv(c4)
        thin = (self.tall_wide(c5) + self.wide_tall(c5)).relu()
        return self.rpn_cls(shared), self.rpn_reg(shared), thin
