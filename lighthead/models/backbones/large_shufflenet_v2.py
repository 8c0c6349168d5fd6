"""The large ShuffleNetV2-50 and SE-ShuffleNetV2-164 (arXiv 1807.11164, Table 6 and appendix).

* v2-50: the appendix's widths are read as a unit's, both branches together, which gives
  2.304 G multiply-adds (the paper: 2.3 G). Its conv2_x (stride 4) keeps the max pool's size.
* SE-v2-164: the network that its authors released as ShuffleNetV2.Large (12.7 G, 140.7 M
  parameters with the three classifiers that only training uses, top-1 error 18.56 %), which is
  the row of Table 6. It is not what the appendix draws: its stages have 256 to 2048 channels, not
  340 to 2720, and its 3x3 convolutions have eight groups and are not depthwise. A unit with the
  appendix's widths, the small networks' branches and SE with reduction 16 counts 12.54 G and has
  73.7 M parameters.
"""

from typing import Any, NamedTuple

import torch
import torch.nn as nn
import torch.utils.checkpoint
from mmcv.cnn import build_activation_layer, build_norm_layer
from mmdet.registry import MODELS
from torch import Tensor
from torchvision.ops import SqueezeExcitation

from lighthead.errors import UserError
from lighthead.models.backbones.base import StagedBackbone
from lighthead.models.backbones.layers import conv3x3, pointwise
from lighthead.models.backbones.shufflenet_v2 import ShuffleUnit, make_stage

GROUPS = 8
"""Groups of the 3x3 convolutions of SE-ShuffleNetV2-164."""


class SEResidualUnit(nn.Module):
    """A unit of SE-ShuffleNetV2-164, as its authors released it.

    It transforms the odd channels: 1x1, 3x3 in eight groups, 1x1, SE without reduction. A basic
    unit adds its input to that and keeps the even channels as they are; the first unit of a
    stage has a dense 3x3 convolution for them. Both halves then pass the activation, and at
    stride 2 a further 1x1 convolution mixes them. Arguments as in :class:`ShuffleUnit`.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        basic: bool,
        stride: int = 1,
        dilation: int = 1,
        *,
        norm_cfg: dict,
        act_cfg: dict,
        with_cp: bool = False,
    ) -> None:
        super().__init__()
        self.basic = basic
        self.with_cp = with_cp
        entry, half = in_channels // 2, out_channels // 2
        self.branch1 = nn.Sequential()
        if not basic:
            self.branch1 = nn.Sequential(
                nn.Conv2d(entry, half, 3, stride, 1, bias=False),
                build_norm_layer(norm_cfg, half)[1],
            )
        self.branch2 = nn.Sequential(
            *pointwise(entry, half, norm_cfg, act_cfg),
            nn.Conv2d(half, half, 3, stride, dilation, dilation, GROUPS, bias=False),
            build_norm_layer(norm_cfg, half)[1],
            build_activation_layer(act_cfg),
            *pointwise(half, half, norm_cfg, act_cfg)[:2],
        )
        self.se = SqueezeExcitation(half, half)
        self.act = build_activation_layer(act_cfg)
        self.mix = nn.Sequential()
        if stride == 2:
            self.mix = nn.Sequential(*pointwise(out_channels, out_channels, norm_cfg, act_cfg))

    def _forward(self, x: Tensor) -> Tensor:
        kept, x = x[:, 0::2], x[:, 1::2]
        y = self.se(self.branch2(x))
        if self.basic:
            y = x + y
        return self.mix(self.act(torch.cat((self.branch1(kept), y), dim=1)))

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, H, W) to (B, out_channels, H/stride, W/stride)."""
        if self.with_cp and x.requires_grad:
            return torch.utils.checkpoint.checkpoint(self._forward, x, use_reentrant=False)
        return self._forward(x)


class LargeLayout(NamedTuple):
    """Channels and units of each part of a large network."""

    conv1: tuple[int, ...]
    stages: tuple[int, int, int, int]
    blocks: tuple[int, int, int, int]
    conv5: int
    conv5_kernel: int
    block: type[nn.Module]


LAYOUTS = {
    # depth: conv1_x, widths of conv2_x..conv5_x, their units, conv6 and its kernel, unit
    50: LargeLayout((64,), (244, 488, 976, 1952), (3, 4, 6, 3), 2048, 1, ShuffleUnit),
    164: LargeLayout(
        (64, 64, 128), (256, 512, 1024, 2048), (10, 10, 23, 10), 1280, 3, SEResidualUnit
    ),
}


@MODELS.register_module()
class LargeShuffleNetV2(StagedBackbone):
    """ShuffleNetV2-50, or SE-ShuffleNetV2-164 with residual units.

    The table's conv2_x..conv5_x are ``stage1``..``stage4`` here and its conv6
    is ``conv5``, so that names and indices mean the same strides as in
    :class:`ShuffleNetV2`. ``stage1`` (stride 4) belongs to the stem.

    Args:
        depth: 50 or 164.
        with_cp: Whether units recompute their activations in the backward pass.
        **kwargs: See :class:`StagedBackbone`; ``out_indices`` count 0 stage2
            (stride 8), 1 stage3 (16), 2 stage4 (32), 3 conv5 (32). The norms of
            the released 164 have an eps of 1e-9.
    """

    stem_names = ('conv1', 'maxpool', 'stage1')
    stage_names = ('stage2', 'stage3', 'stage4', 'conv5')

    def __init__(self, depth: int = 50, with_cp: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if depth not in LAYOUTS:
            raise UserError(f"depth={depth} is none of the paper's: choose from {list(LAYOUTS)}.")
        layout = LAYOUTS[depth]
        self.stage_channels = (*layout.stages[1:], layout.conv5)
        self.conv1 = nn.Sequential()
        channels = 3
        for index, width in enumerate(layout.conv1):
            self.conv1.extend(conv3x3(channels, width, 2 if index == 0 else 1, **self.layer_cfgs))
            channels = width
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        unit_args: dict[str, Any] = dict(with_cp=with_cp, **self.layer_cfgs)
        for index, (width, count) in enumerate(zip(layout.stages, layout.blocks, strict=True)):
            stride = 1 if index == 0 else 2
            stage = make_stage(layout.block, channels, width, count, stride=stride, **unit_args)
            self.add_module(f'stage{index + 1}', stage)
            channels = width
        if layout.conv5_kernel == 3:
            conv5 = conv3x3(channels, layout.conv5, 1, **self.layer_cfgs)
        else:
            conv5 = pointwise(channels, layout.conv5, **self.layer_cfgs)
        self.conv5 = nn.Sequential(*conv5)
        self.freeze()
