"""Distillation of feature maps by their correlation (PKD, arXiv 2207.02039)."""

import torch.nn.functional as F
from mmdet.registry import MODELS
from torch import Tensor, nn


@MODELS.register_module()
class FeatureCorrelationLoss(nn.Module):
    """Half the squared distance of two maps after each channel is brought to mean 0, variance 1:
    one minus the mean correlation of their channels.

    Args:
        loss_weight: Weight of the loss.
    """

    def __init__(self, loss_weight: float = 1.0) -> None:
        super().__init__()
        self.loss_weight = loss_weight

    def forward(self, x: Tensor, target: Tensor) -> Tensor:
        """Maps (B, C, H, W), both of one shape, to a number."""
        x, target = standardised(x.float()), standardised(target.float())
        return 0.5 * self.loss_weight * F.mse_loss(x, target)


def standardised(x: Tensor) -> Tensor:
    """A map (B, C, H, W), each channel with mean 0 and variance 1 over the batch."""
    return F.batch_norm(x, None, None, training=True, eps=1e-6)
