"""IGCV2 on ImageNet: interleaved structured sparse convolutions (arXiv 1804.06202).

MobileNet v1's layout, each pointwise convolution replaced by two group
convolutions with a permutation between them. Table 8 gives no widths, but its
three complexities pin them down: 46, 156 and 564 M at 0.25, 0.5 and 1.0 are
0.94 of MobileNet v1's pointwise MACs plus 1.95 of its depthwise, stem and
classifier MACs. Twice the channels, and pointwise convolutions of 8 groups
(2 * 2 * 2 / 8 = 1), come close to that; this is the nominal network.
"""

import torch.nn as nn
from torch import Tensor

from lighthead.models.backbones.layers import channel_shuffle
from lighthead.speed.networks.layers import Classifier, conv_norm_relu

LAYERS = (
    # MobileNet v1: channels of each depthwise-separable layer, stride
    *((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2)),
    *((512, 1),) * 5,
    *((1024, 2), (1024, 1)),
)
STEM = 32
WIDENING = 2
GROUPS = 8


class InterleavedPointwise(nn.Module):
    """Two 1x1 group convolutions; the permutation feeds each group from all groups before."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.first = conv_norm_relu(in_channels, in_channels, 1, groups=GROUPS, relu=False)
        self.second = conv_norm_relu(in_channels, channels, 1, groups=GROUPS)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, H, W) to (B, channels, H, W)."""
        return self.second(channel_shuffle(self.first(x), GROUPS))


def igcv2(multiplier: float = 1.0) -> nn.Module:
    """IGCV2 with ``multiplier`` times the channels, rounded to whole groups."""

    def width(channels: int) -> int:
        return max(1, round(channels * WIDENING * multiplier / GROUPS)) * GROUPS

    stem = width(STEM)
    layers: list[nn.Module] = [conv_norm_relu(3, stem, 3, 2)]
    channels = stem
    for out, stride in LAYERS:
        layers.append(conv_norm_relu(channels, channels, 3, stride, groups=channels))
        layers.append(InterleavedPointwise(channels, width(out)))
        channels = width(out)
    return Classifier(nn.Sequential(*layers), channels)
