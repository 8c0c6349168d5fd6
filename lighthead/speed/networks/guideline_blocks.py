"""The blocks of the guidelines' networks (arXiv 1807.11164, Tables 1-4).

Blocks are convolutions without norm; only G4 has ReLU and shortcut. Their figures are not in
our copy of the paper, so two details are a reading: in G3 parallel fragments read the same
input and their outputs are added; in G4 all three convolutions have c channels and the 3x3
one is dense, as in ResNet (the paper's speeds would also fit a cheaper block).
"""

import torch.nn as nn
from torch import Tensor

from lighthead.speed.paper.tables1to4 import BLOCKS_STACKED


def conv(in_channels: int, channels: int, kernel: int = 1, groups: int = 1) -> nn.Conv2d:
    """A convolution that keeps the size, without bias."""
    return nn.Conv2d(in_channels, channels, kernel, padding=kernel // 2, groups=groups, bias=False)


class ParallelConvs(nn.Module):
    """1x1 convolutions of the same input, their outputs added."""

    def __init__(self, channels: int, count: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList(conv(channels, channels) for _ in range(count))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to the same shape."""
        first, *others = self.convs
        y = first(x)
        for other in others:
            y = y + other(x)
        return y


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1, with ReLU after each and a shortcut around them, or without."""

    def __init__(self, channels: int, relu: bool, shortcut: bool) -> None:
        super().__init__()
        self.convs = nn.ModuleList(conv(channels, channels, kernel) for kernel in (1, 3, 1))
        self.relu = nn.ReLU(inplace=True) if relu else nn.Identity()
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to the same shape; the last ReLU follows the sum."""
        y = self.relu(self.convs[0](x))
        y = self.convs[2](self.relu(self.convs[1](y)))
        return self.relu(y + x if self.shortcut else y)


def block(guideline: str, setting: str, channels: tuple[int, ...]) -> nn.Module:
    """One block of a row of a guideline's table; ``setting`` as in the paper's table.

    G1: none; G2: the groups; G3: how many fragments, in series or parallel; G4: relu, shortcut.
    """
    if guideline == 'G1':
        return nn.Sequential(conv(channels[0], channels[1]), conv(channels[1], channels[0]))
    if guideline == 'G2':
        return conv(channels[0], channels[0], groups=int(setting))
    if guideline == 'G4':
        return Bottleneck(channels[0], 'relu' in setting, 'shortcut' in setting)
    count, layout = setting.split()
    if layout == 'parallel':
        return ParallelConvs(channels[0], int(count))
    return nn.Sequential(*(conv(channels[0], channels[0]) for _ in range(int(count))))


def stacked_blocks(guideline: str, setting: str, channels: tuple[int, ...]) -> nn.Module:
    """Ten blocks in a row; the input has the first of ``channels``."""
    return nn.Sequential(*(block(guideline, setting, channels) for _ in range(BLOCKS_STACKED)))
