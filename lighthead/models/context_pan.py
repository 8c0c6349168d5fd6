"""The neck of the modern detector: a light path aggregation network and the thin map.

The pyramid follows PANet (arXiv 1803.01534) with depthwise 5x5 convolutions, as small one-stage
detectors have it; the thin map for PS-RoI align is made as in ThunderNet's context enhancement
(arXiv 1903.11752, section 3.2): all levels and the global context, at one size, summed.
"""

from collections.abc import Sequence
from typing import Any

import torch.nn.functional as F
from mmcv.cnn import ConvModule
from mmdet.registry import MODELS
from mmengine.model import BaseModule
from torch import Tensor, nn

from lighthead.ops.depthwise_conv import DepthwiseConv2d


def separable(in_channels: int, out_channels: int, stride: int = 1, **layer_cfg: Any) -> nn.Module:
    """Depthwise 5x5 and 1x1 convolution, each with norm and activation."""
    return nn.Sequential(
        depthwise5x5(in_channels, stride, **layer_cfg),
        ConvModule(in_channels, out_channels, 1, **layer_cfg),
    )


def depthwise5x5(channels: int, stride: int = 1, **layer_cfg: Any) -> nn.Module:
    """Depthwise 5x5 convolution with norm and activation."""
    return ConvModule(
        channels,
        channels,
        5,
        stride,
        padding=2,
        groups=channels,
        conv_cfg=dict(type=DepthwiseConv2d),
        **layer_cfg,
    )


class Refine(nn.Module):
    """A separable convolution without final activation, around which its input passes."""

    def __init__(self, channels: int, **layer_cfg: Any) -> None:
        super().__init__()
        self.conv = nn.Sequential(
            depthwise5x5(channels, **layer_cfg),
            ConvModule(channels, channels, 1, norm_cfg=layer_cfg['norm_cfg'], act_cfg=None),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x)


def resized(x: Tensor, like: Tensor) -> Tensor:
    """``x`` (B, C, h, w) at the height and width of ``like``."""
    return F.interpolate(x, size=like.shape[-2:], mode='bilinear', align_corners=False)


@MODELS.register_module()
class ContextPAN(BaseModule):
    """Backbone maps at strides 8, 16, 32 to RPN levels at strides 8 to 64 and the thin map.

    Args:
        in_channels: Channels of C3, C4 and C5.
        channels: Channels of every level of the pyramid.
        context_channels: Channels in which all levels are summed for the thin map.
        thin_channels: Channels of the thin map: 5 x 7 x 7; 0: there is none (one-stage detectors).
        thin_level: Level whose size the thin map has: 0 is stride 8, 1 is stride 16.
        context: Whether global average pooling of the last level is added to the thin map.
        norm_cfg: Norm layers.
        act_cfg: Activation layers.
    """

    def __init__(
        self,
        in_channels: Sequence[int] = (116, 232, 464),
        channels: int = 96,
        context_channels: int = 128,
        thin_channels: int = 245,
        thin_level: int = 0,
        context: bool = True,
        norm_cfg: dict | None = None,
        act_cfg: dict | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        layer_cfg: dict[str, Any] = dict(
            norm_cfg=norm_cfg or dict(type='BN'),
            act_cfg=act_cfg or dict(type='LeakyReLU', negative_slope=0.1),
        )
        levels = len(in_channels)
        self.thin_level = thin_level
        self.laterals = nn.ModuleList(ConvModule(c, channels, 1, **layer_cfg) for c in in_channels)
        self.top_down = nn.ModuleList(Refine(channels, **layer_cfg) for _ in range(levels - 1))
        self.down = nn.ModuleList(
            separable(channels, channels, 2, **layer_cfg) for _ in range(levels)
        )
        self.bottom_up = nn.ModuleList(Refine(channels, **layer_cfg) for _ in range(levels - 1))
        self.extra = separable(channels, channels, 2, **layer_cfg)
        self.thin: nn.Sequential | None = None
        if not thin_channels:
            return
        self.mix = nn.ModuleList(nn.Conv2d(channels, context_channels, 1) for _ in range(levels))
        self.context = nn.Conv2d(channels, context_channels, 1) if context else None
        self.thin = nn.Sequential(
            depthwise5x5(context_channels, **layer_cfg),
            nn.Conv2d(context_channels, thin_channels, 1),
        )

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """C3 (B, C, H/8, W/8), C4, C5 to four RPN levels (strides 8 to 64) and the thin map."""
        levels = [lateral(x) for lateral, x in zip(self.laterals, maps, strict=True)]
        coarsest = levels[-1]
        for index in reversed(range(len(levels) - 1)):
            above = resized(levels[index + 1], levels[index])
            levels[index] = self.top_down[index](levels[index] + above)
        for index in range(len(levels) - 1):
            below = self.down[index](levels[index])
            levels[index + 1] = self.bottom_up[index](levels[index + 1] + below)
        last = self.extra(coarsest) + self.down[-1](levels[-1])
        if self.thin is None:
            return (*levels, last)
        return (*levels, last, self.thin(self.summed(levels)))

    def summed(self, levels: Sequence[Tensor]) -> Tensor:
        """The sum of all levels and of the global context, at the thin map's size."""
        mixed = [mix(x) for mix, x in zip(self.mix, levels, strict=True)]
        total = mixed.pop(self.thin_level)
        for x in mixed:
            total = total + resized(x, total)
        if self.context is not None:
            total = total + self.context(levels[-1].mean((2, 3), keepdim=True))
        return total
