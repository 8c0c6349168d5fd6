"""ShuffleNetV2 and ShuffleNetV2*.

Paper: "ShuffleNet V2: Practical Guidelines for Efficient CNN Architecture
Design", arXiv 1807.11164. Widths: Table 5. ShuffleNetV2* is its detection
variant (section 4, Table 7): "an additional 3x3 depthwise convolution before
the first pointwise convolution in each building block". Module names follow
torchvision, so that its weights load one to one.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import torch.nn as nn
import torch.utils.checkpoint
from mmdet.registry import MODELS
from torch import Tensor

from lighthead.errors import UserError
from lighthead.models.backbones.base import StagedBackbone
from lighthead.models.backbones.layers import channel_shuffle, conv3x3, depthwise, pointwise


class Widths(NamedTuple):
    """Output channels of each part of the network."""

    stem: int
    stages: tuple[int, int, int]
    conv5: int


WIDTHS = {
    # Table 5: widen factor -> conv1, (stage2, stage3, stage4), conv5
    0.5: Widths(24, (48, 96, 192), 1024),
    1.0: Widths(24, (116, 232, 464), 1024),
    1.5: Widths(24, (176, 352, 704), 1024),
    2.0: Widths(24, (244, 488, 976), 2048),
}
BLOCKS = (4, 8, 4)
"""Table 5: blocks of stage2, stage3, stage4; the first of each has stride 2."""


class ShuffleUnit(nn.Module):
    """A building block of ShuffleNetV2 (Figure 3 c and d).

    ``basic`` units split their input in halves and transform one of them;
    the others (``basic=False``, first in a stage) transform all channels in
    both branches. ``star`` adds a 3x3 depthwise convolution with norm and no
    activation, stride 1, in front of ``branch2``. The paper does not say which
    branch gets it: ``branch1`` already starts with a depthwise one. Its norm
    trains even with ``norm_cfg.requires_grad=False``, since no published
    weights have trained it.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        basic: bool,
        stride: int = 1,
        dilation: int = 1,
        star: bool = False,
        *,
        norm_cfg: dict,
        act_cfg: dict,
        with_cp: bool = False,
    ) -> None:
        super().__init__()
        self.basic = basic
        self.with_cp = with_cp
        half = out_channels // 2
        entry = half if basic else in_channels
        self.branch1 = nn.Sequential()
        if not basic:
            self.branch1 = nn.Sequential(
                *depthwise(entry, stride, dilation, norm_cfg),
                *pointwise(entry, half, norm_cfg, act_cfg),
            )
        self.star = None
        if star:
            conv, norm = depthwise(entry, 1, 1, dict(norm_cfg, requires_grad=True))
            self.star = nn.Sequential()
            self.star.add_module('conv', conv)
            self.star.add_module('bn', norm)
        self.branch2 = nn.Sequential(
            *pointwise(entry, half, norm_cfg, act_cfg),
            *depthwise(half, stride, dilation, norm_cfg),
            *pointwise(half, half, norm_cfg, act_cfg),
        )

    def transform(self, x: Tensor) -> Tensor:
        """The branch with the bottleneck, from its input to half the unit's channels."""
        if self.star is not None:
            x = self.star(x)
        return self.branch2(x)

    def _forward(self, x: Tensor) -> Tensor:
        if self.basic:
            kept, x = x.chunk(2, dim=1)
        else:
            kept = self.branch1(x)
        return channel_shuffle(torch.cat((kept, self.transform(x)), dim=1))

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, H, W) to (B, out_channels, H/stride, W/stride)."""
        if self.with_cp and x.requires_grad:
            return torch.utils.checkpoint.checkpoint(self._forward, x, use_reentrant=False)
        return self._forward(x)


def make_stage(
    block: Callable[..., nn.Module],
    in_channels: int,
    channels: int,
    count: int,
    stride: int = 2,
    dilation: int = 1,
    entry_block: Callable[..., nn.Module] | None = None,
    **unit_args: Any,
) -> nn.Sequential:
    """A unit that changes width and resolution, then ``count - 1`` (dilated) basic units."""
    entry_block = entry_block or block
    first = entry_block(in_channels, channels, basic=False, stride=stride, **unit_args)
    rest = [
        block(channels, channels, basic=True, dilation=dilation, **unit_args)
        for _ in range(count - 1)
    ]
    return nn.Sequential(first, *rest)


@MODELS.register_module()
class ShuffleNetV2(StagedBackbone):
    """ShuffleNetV2 (arXiv 1807.11164, Table 5) or ShuffleNetV2*.

    State-dict keys equal torchvision's ``shufflenet_v2_x*`` without ``fc``; in
    ShuffleNetV2* each unit also has ``star.conv`` and ``star.bn``.

    Args:
        widen_factor: 0.5, 1.0, 1.5 or 2.0.
        star: Whether to build ShuffleNetV2*.
        dilated_stage4: Whether stage4 (and conv5) keep stride 16, with
            dilation 2 after stage4's first block.
        with_conv5: Whether there is a conv5; detectors that do not read it do without.
        with_cp: Whether blocks recompute their activations in the backward
            pass to save memory.
        **kwargs: See :class:`StagedBackbone`; ``out_indices`` count 0 stage2
            (stride 8), 1 stage3 (16), 2 stage4 (32), 3 conv5 (32).
    """

    stem_names = ('conv1', 'maxpool')
    stage_names: tuple[str, ...] = ('stage2', 'stage3', 'stage4', 'conv5')
    block = ShuffleUnit

    def __init__(
        self,
        widen_factor: float = 1.0,
        star: bool = False,
        dilated_stage4: bool = False,
        with_conv5: bool = True,
        with_cp: bool = False,
        **kwargs: Any,
    ) -> None:
        if not with_conv5:
            self.stage_names = self.stage_names[:3]
        super().__init__(**kwargs)
        if widen_factor not in WIDTHS:
            raise UserError(
                f"widen_factor={widen_factor} is none of the paper's: choose from {list(WIDTHS)}."
            )
        self.widen_factor = widen_factor
        self.widths = WIDTHS[widen_factor]
        self.stage_channels = (*self.widths.stages, self.widths.conv5)
        self.conv1 = nn.Sequential(*conv3x3(3, self.widths.stem, 2, **self.layer_cfgs))
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        entries = (self.widths.stem, *self.widths.stages)
        for index, name in enumerate(self.stage_names[:3]):
            dilated = dilated_stage4 and name == 'stage4'
            stage = make_stage(
                self.block,
                entries[index],
                entries[index + 1],
                BLOCKS[index],
                stride=1 if dilated else 2,
                dilation=2 if dilated else 1,
                entry_block=self.entry_block if name == 'stage2' else None,
                star=star,
                with_cp=with_cp,
                **self.layer_cfgs,
            )
            self.add_module(name, stage)
        if with_conv5:
            conv5 = pointwise(entries[3], self.widths.conv5, **self.layer_cfgs)
            self.conv5 = nn.Sequential(*conv5)
        self.freeze()

    @property
    def entry_block(self) -> type[ShuffleUnit]:
        """The class of stage2's first unit."""
        return self.block
