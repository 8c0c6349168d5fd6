"""PNASNet-5, the mobile network (arXiv 1712.00559): 54 filters, N = 3, 588 M.

Cell: Figure 1 of the paper. Two inputs, ``current`` (the cell before) and
``previous`` (the one before that), five sums of two operations each; the cell's
output is their concatenation. Nine cells, of which the fourth and seventh halve
the size and double the filters, after a stem of 32 channels and two halving
cells of 54/4 and 54/2 filters. Odd channel counts are meant.
"""

from collections.abc import Callable

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from lighthead.speed.networks.layers import Classifier

STEM = 32
FILTERS = 54
CELLS = 9
HALVING = (3, 6)
"""Indices of the cells with stride 2."""
SUMS = (
    # Figure 1: two operations, each on an input: 0 current, 1 previous, 2.. earlier sums
    (('sep5', 1), ('max', 1)),
    (('sep7', 0), ('max', 0)),
    (('sep5', 0), ('sep3', 0)),
    (('sep3', 4), ('max', 0)),
    (('sep3', 1), ('same', 0)),
)


def relu_pointwise(in_channels: int, channels: int, stride: int = 1) -> nn.Sequential:
    """ReLU, 1x1 convolution, norm."""
    return nn.Sequential(
        nn.ReLU(),
        nn.Conv2d(in_channels, channels, 1, stride, bias=False),
        nn.BatchNorm2d(channels),
    )


def separable(channels: int, kernel: int, stride: int) -> nn.Sequential:
    """Two separable convolutions, each ReLU, depthwise, pointwise, norm; the first strides."""
    layers: list[nn.Module] = []
    for step in (stride, 1):
        layers += [
            nn.ReLU(),
            nn.Conv2d(channels, channels, kernel, step, kernel // 2, groups=channels, bias=False),
            nn.Conv2d(channels, channels, 1, bias=False),
            nn.BatchNorm2d(channels),
        ]
    return nn.Sequential(*layers)


OPERATIONS: dict[str, Callable[[int, int], nn.Module]] = {
    'sep3': lambda channels, stride: separable(channels, 3, stride),
    'sep5': lambda channels, stride: separable(channels, 5, stride),
    'sep7': lambda channels, stride: separable(channels, 7, stride),
    'max': lambda channels, stride: nn.MaxPool2d(3, stride, 1),
    'same': lambda channels, stride: (
        relu_pointwise(channels, channels, stride) if stride > 1 else nn.Identity()
    ),
}


class FactorizedReduction(nn.Module):
    """Half the size: two 1x1 convolutions on pixel grids one pixel apart, concatenated."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        widths = channels // 2, channels - channels // 2
        self.convs = nn.ModuleList(nn.Conv2d(in_channels, w, 1, bias=False) for w in widths)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, H, W) to (B, channels, ceil(H / 2), ceil(W / 2))."""
        x = F.relu(x)
        shifted = F.pad(x, (0, 1, 0, 1))[:, :, 1:, 1:]
        halves = self.convs[0](x[:, :, ::2, ::2]), self.convs[1](shifted[:, :, ::2, ::2])
        return self.norm(torch.cat(halves, dim=1))


class Cell(nn.Module):
    """One cell; ``previous_stride`` is 2 where the previous input is twice as large."""

    def __init__(
        self, previous: int, current: int, channels: int, stride: int, previous_stride: int
    ) -> None:
        super().__init__()
        if previous_stride == 2:
            self.fit_previous: nn.Module = FactorizedReduction(previous, channels)
        elif previous != channels:
            self.fit_previous = relu_pointwise(previous, channels)
        else:
            self.fit_previous = nn.Identity()
        self.fit_current = relu_pointwise(current, channels)
        self.operations = nn.ModuleList(
            nn.ModuleList(
                OPERATIONS[name](channels, stride if source < 2 else 1) for name, source in pair
            )
            for pair in SUMS
        )
        self.out_channels = channels * len(SUMS)

    def forward(self, previous: Tensor, current: Tensor) -> Tensor:
        """The concatenated sums, (B, 5 * channels, H / stride, W / stride)."""
        states = [self.fit_current(current), self.fit_previous(previous)]
        for pair, ((_, a), (_, b)) in zip(self.operations, SUMS, strict=True):
            first, second = pair.children()
            states.append(first(states[a]) + second(states[b]))
        return torch.cat(states[2:], dim=1)


class Features(nn.Module):
    """Stem and cells."""

    def __init__(self, filters: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, STEM, 3, 2, bias=False), nn.BatchNorm2d(STEM))
        widths = [filters // 4, filters // 2]
        for index in range(CELLS):
            widths.append(filters * 2 ** sum(index >= halving for halving in HALVING))
        strides = [2, 2] + [2 if index in HALVING else 1 for index in range(CELLS)]
        self.cells = nn.ModuleList()
        previous, current, before = STEM, STEM, 1
        for channels, stride in zip(widths, strides, strict=True):
            cell = Cell(previous, current, channels, stride, before)
            self.cells.append(cell)
            previous, current, before = current, cell.out_channels, stride
        self.out_channels = current

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) to (B, 20 * filters, H / 32, W / 32)."""
        current = self.stem(x)
        previous = current
        for cell in self.cells:
            previous, current = current, cell(previous, current)
        return F.relu(current)


def pnasnet5_mobile(filters: int = FILTERS) -> nn.Module:
    """PNASNet-5 with ``filters`` in the first cells (the paper's mobile network: 54)."""
    features = Features(filters)
    return Classifier(features, features.out_channels)
