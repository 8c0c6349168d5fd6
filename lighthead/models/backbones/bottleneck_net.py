"""Bottleneck units around a shortcut: what ShuffleNet v1 and the light Xception share.

Unit: ShuffleNet, arXiv 1707.01083, Figure 2; without groups there is nothing to
shuffle, and what is left is the Xception-like unit of that paper's comparisons.
"""

from typing import Any, NamedTuple

import torch
import torch.nn as nn
import torch.utils.checkpoint
from mmcv.cnn import build_activation_layer, build_norm_layer
from torch import Tensor

from lighthead.errors import UserError
from lighthead.models.backbones.base import StagedBackbone
from lighthead.models.backbones.layers import channel_shuffle, conv3x3, depthwise

BLOCKS = (4, 8, 4)
"""Units of stage2, stage3, stage4; the first of each has stride 2."""


class BottleneckUnit(nn.Module):
    """1x1, channel shuffle, 3x3 depthwise, 1x1, around a shortcut.

    At stride 2 the shortcut is an average pool and is concatenated, so the last
    1x1 makes only the missing channels; at stride 1 it is added. A unit of
    stride 1 that changes the width has no shortcut.

    Args:
        in_channels: Input channels.
        out_channels: Output channels, the concatenated ones included.
        stride: 1 or 2.
        groups: Groups of both 1x1 convolutions.
        entry_groups: Groups of the first 1x1 convolution where they differ.
        reduction: ``out_channels`` over the bottleneck's channels.
        norm_cfg: Norm layer.
        act_cfg: Activation layer.
        with_cp: Whether the unit recomputes its activations in the backward pass.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: int = 1,
        groups: int = 1,
        entry_groups: int | None = None,
        reduction: int = 4,
        *,
        norm_cfg: dict,
        act_cfg: dict,
        with_cp: bool = False,
    ) -> None:
        super().__init__()
        self.groups = groups
        self.with_cp = with_cp
        self.adds = stride == 1 and in_channels == out_channels
        middle = out_channels // reduction
        new = out_channels - in_channels if stride == 2 else out_channels
        self.compress = nn.Sequential(
            nn.Conv2d(in_channels, middle, 1, groups=entry_groups or groups, bias=False),
            build_norm_layer(norm_cfg, middle)[1],
            build_activation_layer(act_cfg),
        )
        self.depthwise = nn.Sequential(*depthwise(middle, stride, 1, norm_cfg))
        self.expand = nn.Sequential(
            nn.Conv2d(middle, new, 1, groups=groups, bias=False),
            build_norm_layer(norm_cfg, new)[1],
        )
        self.pool = nn.AvgPool2d(3, 2, 1) if stride == 2 else None
        self.act = build_activation_layer(act_cfg)

    def _forward(self, x: Tensor) -> Tensor:
        y = self.compress(x)
        if self.groups > 1:
            y = channel_shuffle(y, self.groups)
        y = self.expand(self.depthwise(y))
        if self.pool is not None:
            y = torch.cat((self.pool(x), y), dim=1)
        elif self.adds:
            y = x + y
        return self.act(y)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, H, W) to (B, out_channels, H/stride, W/stride)."""
        if self.with_cp and x.requires_grad:
            return torch.utils.checkpoint.checkpoint(self._forward, x, use_reentrant=False)
        return self._forward(x)


class Layout(NamedTuple):
    """Output channels and units of each part of a network, three stages or four."""

    stem: int
    stages: tuple[int, ...]
    blocks: tuple[int, ...] = BLOCKS
    reduction: int = 4


def build_parts(layout: Layout, groups: int, **unit_args: Any) -> dict[str, nn.Module]:
    """The modules of a network by name: conv1, maxpool and the stages, stage4 last.

    The first 1x1 convolution of all has no groups, since its input is narrow.
    Where there are four stages, the first (``stage1``) keeps the max pool's stride.
    """
    norm_cfg, act_cfg = unit_args['norm_cfg'], unit_args['act_cfg']
    parts: dict[str, nn.Module] = {
        'conv1': nn.Sequential(*conv3x3(3, layout.stem, 2, norm_cfg, act_cfg)),
        'maxpool': nn.MaxPool2d(3, 2, 1),
    }
    channels = layout.stem
    first = 5 - len(layout.stages)
    for index, width in enumerate(layout.stages):
        units = []
        for position in range(layout.blocks[index]):
            unit = BottleneckUnit(
                channels,
                width,
                stride=2 if position == 0 and first + index > 1 else 1,
                groups=groups,
                entry_groups=1 if index == position == 0 else None,
                reduction=layout.reduction,
                **unit_args,
            )
            units.append(unit)
            channels = width
        parts[f'stage{first + index}'] = nn.Sequential(*units)
    return parts


class BottleneckNet(StagedBackbone):
    """What ShuffleNet v1 and the light Xception share; not registered.

    Args:
        layout: Widths and units.
        groups: Groups of the 1x1 convolutions.
        with_cp: Whether units recompute their activations in the backward pass.
        **kwargs: See :class:`StagedBackbone`; ``out_indices`` count 0 stage2
            (stride 8), 1 stage3 (16), 2 stage4 (32).
    """

    stem_names: tuple[str, ...] = ('conv1', 'maxpool')
    stage_names = ('stage2', 'stage3', 'stage4')

    def __init__(self, layout: Layout, groups: int, with_cp: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.stage_channels = layout.stages[-3:]
        parts = build_parts(layout, groups, with_cp=with_cp, **self.layer_cfgs)
        for name, module in parts.items():
            self.add_module(name, module)
        self.freeze()


def choose(table: dict, key: float, argument: str) -> Layout:
    """The layout of the argument's value; UserError where the table has none."""
    if key not in table:
        raise UserError(f"{argument}={key} is none of the paper's: choose from {list(table)}.")
    return table[key]
