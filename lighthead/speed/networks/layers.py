"""Layers that the networks of Table 8 share."""

import torch
import torch.nn as nn
from torch import Tensor


def conv_norm_relu(
    in_channels: int,
    channels: int,
    kernel: int,
    stride: int = 1,
    groups: int = 1,
    relu: bool = True,
) -> nn.Sequential:
    """Convolution that keeps the size (over its stride), norm, ReLU."""
    layers: list[nn.Module] = [
        nn.Conv2d(in_channels, channels, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(channels),
    ]
    if relu:
        layers.append(nn.ReLU(inplace=True))
    return nn.Sequential(*layers)


class Classifier(nn.Module):
    """Features, global average pool, one fully connected layer."""

    def __init__(self, features: nn.Module, channels: int, num_classes: int = 1000) -> None:
        super().__init__()
        self.features = features
        self.fc = nn.Linear(channels, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Images (B, 3, H, W) to logits (B, num_classes)."""
        return self.fc(torch.flatten(nn.functional.adaptive_avg_pool2d(self.features(x), 1), 1))
