"""ShuffleNetV2 without its shuffles, for inference.

A channel shuffle and the split behind it only say which channels the next
block transforms. That is known beforehand: a channel that leaves a convolution
is read by one later block, or by none of the stage. So the output channels of
each convolution are put in the order in which they will be read, and a block's
input is a handful of slices, put together. Nothing is shuffled, and the kept
half of a block is not copied at all: one copy of half the channels instead of
a concatenation, a shuffle and a gather. The results are the same numbers.

An example: a stage of 8 channels and three blocks, so that a branch has 4 outputs. The two
branches of the first block, A and B, compute A0..A3 and B0..B3, the transforming branches of the
other blocks C0..C3 and D0..D3. What the shuffles do::

    first block   concatenated A0 A1 A2 A3 B0 B1 B2 B3, shuffled   A0 B0 A1 B1 A2 B2 A3 B3
    second block  keeps A0 B0 A1 B1, C reads A2 B2 A3 B3, shuffled A0 C0 B0 C1 A1 C2 B1 C3
    third block   keeps A0 C0 B0 C1, D reads A1 C2 B1 C3, shuffled A0 D0 C0 D1 B0 D2 C1 D3

So A2 A3 B2 B3 are read by C, A1 B1 C2 C3 by D, and A0 B0 C0 C1 D0..D3 leave the stage. Each branch
therefore computes its outputs in the order in which they are read, A as A2 A3 | A1 | A0, B
likewise, C as C2 C3 | C0 C1, and ::

    C reads   A[0:2] B[0:2]             with its input weights in the order A2 A3 B2 B3
    D reads   A[2:3] B[2:3] C[0:2]      A1 B1 C2 C3
    output    A[3:4] B[3:4] C[2:4] D    A0 B0 C0 C1 D0 D1 D2 D3 instead of A0 D0 C0 D1 B0 D2 C1 D3

The last line's order is what the next stage's input weights are put into.
"""

from collections.abc import Sequence
from copy import deepcopy
from typing import NamedTuple

import torch
from torch import Tensor, nn

from lighthead.models.backbones.shufflenet_v2 import ShuffleNetV2, ShuffleUnit


class Slice(NamedTuple):
    """Channels ``start`` to ``stop`` of an earlier convolution of the stage."""

    source: int
    start: int
    stop: int


Channel = tuple[int, int]
"""(source, channel): where a channel was computed."""


def plan_stage(halves: Sequence[int]) -> tuple[list[list[Channel]], list[Channel]]:
    """Which channels each block of a stage reads.

    Sources 0 and 1 are the two branches of the first block; source k + 1 is the
    transforming branch of block k.

    Args:
        halves: Half the width of every block, all equal.

    Returns:
        For each block after the first its input channels, in the original order;
        and the stage's output channels.
    """
    half = halves[0]
    kept: list[Channel] = [(0, channel) for channel in range(half)]
    fresh: list[Channel] = [(1, channel) for channel in range(half)]
    reads = []
    for block in range(1, len(halves)):
        out = [channel for pair in zip(kept, fresh, strict=True) for channel in pair]
        kept, entry = out[:half], out[half:]
        reads.append(entry)
        fresh = [(block + 1, channel) for channel in range(half)]
    return reads, [channel for pair in zip(kept, fresh, strict=True) for channel in pair]


class UnshuffledStage(nn.Module):
    """A stage whose blocks read slices.

    Args:
        units: The stage's blocks, without batch norm in the way: their convolutions
            are changed in place.
        order: In which order the stage's input channels come.
    """

    def __init__(self, units: Sequence[ShuffleUnit], order: Tensor) -> None:
        super().__init__()
        first, *rest = units
        half = out_channels(first.branch2)
        reads, out = plan_stage([half] * len(units))
        groups = [*reads, out]
        when = {channel: block for block, group in enumerate(groups) for channel in group}
        # per source: the original channel at each new position
        positions: dict[int, list[int]] = {}
        for source in range(len(units) + 1):
            blocks = [when[source, channel] for channel in range(half)]
            positions[source] = sorted(range(half), key=blocks.__getitem__)
        self.reads = [slices_of(group, when, positions) for group in groups]
        branches = [first.branch1, *(unit.branch2 for unit in units)]
        for source, branch in enumerate(branches):
            reorder_outputs(last_conv(branch), torch.tensor(positions[source]))
        reorder_inputs(first.branch1, order)
        reorder_inputs(entry_of(first), order)
        for unit, group, read in zip(rest, reads, self.reads, strict=False):
            reorder_inputs(entry_of(unit), order_of(group, read, positions))
        self.order = order_of(out, self.reads[-1], positions)
        self.branch1 = first.branch1
        self.transforms = nn.ModuleList(entry_of(unit) for unit in units)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to the stage's output; its channels come as ``order`` says."""
        outputs = [self.branch1(x), self.transforms[0](x)]
        for transform, read in zip(self.transforms[1:], self.reads, strict=False):
            outputs.append(transform(gather(outputs, read)))
        return gather(outputs, self.reads[-1])


class UnshuffledBackbone(nn.Module):
    """A ShuffleNetV2 or ShuffleNetV2* whose stages are :class:`UnshuffledStage`.

    Args:
        backbone: With batch norm folded; it is copied.

    Attributes:
        orders: For each returned map, the original channel at each position.
    """

    def __init__(self, backbone: ShuffleNetV2) -> None:
        super().__init__()
        backbone = deepcopy(backbone)
        self.out_indices = backbone.out_indices
        self.conv1, self.maxpool = backbone.conv1, backbone.maxpool
        order = torch.arange(backbone.widths.stem)
        orders = []
        self.stages = nn.ModuleList()
        for name in backbone.stage_names[:3]:
            stage = UnshuffledStage(list(getattr(backbone, name)), order)
            order = stage.order
            orders.append(order)
            self.stages.append(stage)
        if hasattr(backbone, 'conv5'):
            reorder_inputs(backbone.conv5, order)
            orders.append(torch.arange(out_channels(backbone.conv5)))
            self.stages.append(backbone.conv5)
        self.orders = [orders[index] for index in self.out_indices]

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Images (B, 3, H, W) to the backbone's maps, channels as ``orders`` says."""
        x = self.maxpool(self.conv1(x))
        maps = []
        for stage in self.stages[: max(self.out_indices) + 1]:
            x = stage(x)
            maps.append(x)
        return tuple(maps[index] for index in self.out_indices)


def can_unshuffle(backbone: nn.Module) -> bool:
    """Whether this is a plain ShuffleNetV2(*), and no variant with other blocks."""
    if type(backbone) is not ShuffleNetV2:
        return False
    units = [unit for name in backbone.stage_names[:3] for unit in getattr(backbone, name)]
    return all(type(unit) is ShuffleUnit for unit in units)


def slices_of(
    group: Sequence[Channel], when: dict[Channel, int], positions: dict[int, list[int]]
) -> list[Slice]:
    """The slices that hold the channels of one group."""
    slices = []
    for source in sorted({source for source, _ in group}):
        time = when[group[0]]
        at = [i for i, channel in enumerate(positions[source]) if when[source, channel] == time]
        slices.append(Slice(source, at[0], at[-1] + 1))
    return slices


def order_of(group: Sequence[Channel], read: Sequence[Slice], positions: dict) -> Tensor:
    """For each channel of the slices, its position in the original order of the group."""
    index = {channel: position for position, channel in enumerate(group)}
    return torch.tensor(
        [index[s.source, positions[s.source][at]] for s in read for at in range(s.start, s.stop)]
    )


def gather(outputs: Sequence[Tensor], read: Sequence[Slice]) -> Tensor:
    """Put slices of earlier outputs together."""
    parts = [
        outputs[s.source]
        if s.stop - s.start == outputs[s.source].shape[1]
        else outputs[s.source][:, s.start : s.stop]
        for s in read
    ]
    return torch.cat(parts, dim=1) if len(parts) > 1 else parts[0]


def entry_of(unit: ShuffleUnit) -> nn.Sequential:
    """The transforming branch with the star in front."""
    star = list(unit.star) if unit.star is not None else []
    return nn.Sequential(*star, *unit.branch2)


def convs_of(module: nn.Module) -> list[nn.Conv2d]:
    """Its convolutions, in order."""
    return [child for child in module.modules() if isinstance(child, nn.Conv2d)]


def last_conv(module: nn.Module) -> nn.Conv2d:
    """The convolution that makes its output."""
    return convs_of(module)[-1]


def out_channels(module: nn.Module) -> int:
    """Channels of its output."""
    return last_conv(module).out_channels


@torch.no_grad()
def reorder_outputs(conv: nn.Conv2d, order: Tensor) -> None:
    """Put output channel ``order[i]`` at position i."""
    conv.weight = nn.Parameter(conv.weight[order].contiguous(), requires_grad=False)
    if conv.bias is not None:
        conv.bias = nn.Parameter(conv.bias[order].contiguous(), requires_grad=False)


@torch.no_grad()
def reorder_inputs(module: nn.Module, order: Tensor) -> None:
    """Expect original input channel ``order[i]`` at position i.

    Depthwise convolutions pass the order on to their outputs.
    """
    for conv in convs_of(module):
        if conv.groups > 1:
            reorder_outputs(conv, order)
        else:
            conv.weight = nn.Parameter(conv.weight[:, order].contiguous(), requires_grad=False)
            return
