"""The small DenseNets of Table 8: DenseNet blocks in the layout of Table 5.

Blocks: arXiv 1608.06993, section 3 (bottleneck of four times the growth rate,
transitions that halve the channels). Layout: ShuffleNet V2 (arXiv 1807.11164),
Table 5: conv1 of 24 channels, max pool, stages of 4, 8 and 4 layers, conv5 of
1024 channels. The paper leaves the growth rate open ("adjusted to the
complexity"): see the catalogue for how it was chosen.
"""

import torch
import torch.nn as nn
from torch import Tensor

from lighthead.speed.networks.layers import Classifier, conv_norm_relu

STEM = 24
LAYERS = (4, 8, 4)
"""Table 5: blocks of stage2, stage3, stage4."""
CONV5 = 1024
BOTTLENECK = 4


def norm_relu_conv(in_channels: int, channels: int, kernel: int) -> nn.Sequential:
    """DenseNet's order: norm, ReLU, convolution."""
    return nn.Sequential(
        nn.BatchNorm2d(in_channels),
        nn.ReLU(inplace=True),
        nn.Conv2d(in_channels, channels, kernel, padding=kernel // 2, bias=False),
    )


class DenseLayer(nn.Module):
    """Adds ``growth`` channels, computed from all that came before."""

    def __init__(self, in_channels: int, growth: int) -> None:
        super().__init__()
        self.bottleneck = norm_relu_conv(in_channels, BOTTLENECK * growth, 1)
        self.conv = norm_relu_conv(BOTTLENECK * growth, growth, 3)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C + growth, H, W)."""
        return torch.cat((x, self.conv(self.bottleneck(x))), dim=1)


def small_densenet(growth: int, stem: int = STEM) -> nn.Module:
    """A DenseNet in the layout of Table 5 with this growth rate."""
    layers: list[nn.Module] = [conv_norm_relu(3, stem, 3, 2), nn.MaxPool2d(3, 2, 1)]
    channels = stem
    for index, count in enumerate(LAYERS):
        narrow = channels if index == 0 else channels // 2
        layers += [norm_relu_conv(channels, narrow, 1), nn.AvgPool2d(2)]
        layers += [DenseLayer(narrow + place * growth, growth) for place in range(count)]
        channels = narrow + count * growth
    layers += [nn.BatchNorm2d(channels), nn.ReLU(inplace=True), conv_norm_relu(channels, CONV5, 1)]
    return Classifier(nn.Sequential(*layers), CONV5)
