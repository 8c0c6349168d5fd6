"""ShuffleNetV2 with squeeze-and-excitation, and the large ShuffleNetV2-50 and -164.

Paper: arXiv 1807.11164; the SE network stands in Table 8 (2x + SE, 597 M), the
large ones in Table 6 and the appendix (2.3 G and 12.7 G multiply-adds). The
paper draws neither network in full; what was settled here:

* SE (arXiv 1709.01507, reduction 16) closes the transformed branch, before the
  concatenation, so that the branch which passes through stays untouched. 2x + SE
  counts 583.4 M then, where the plain 2x counts 583.3 M (the paper: 591 M). SE
  over both branches with reduction 2 would add the paper's 6 M, but it would
  weigh what passes through anew in each of 16 (or 53) units.
* In SE-ShuffleNetV2-164 every basic unit adds the branch's input to the
  branch's output, after SE; units that change the width have nothing to add.
* The appendix's widths are read as a unit's, both branches together: this
  gives 2.304 G and 12.54 G. Its conv2_x (stride 4) keeps the max pool's size.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch.nn as nn
from mmdet.registry import MODELS
from torch import Tensor
from torchvision.ops import SqueezeExcitation

from lighthead.errors import UserError
from lighthead.models.backbones.base import StagedBackbone
from lighthead.models.backbones.shufflenet_v2 import (
    ShuffleNetV2,
    ShuffleUnit,
    conv3x3,
    make_stage,
    pointwise,
)

SE_REDUCTION = 16


class SEShuffleUnit(ShuffleUnit):
    """A ShuffleNetV2 unit whose transformed branch ends in squeeze-and-excitation."""

    def __init__(self, in_channels: int, out_channels: int, *args, **kwargs) -> None:
        super().__init__(in_channels, out_channels, *args, **kwargs)
        half = out_channels // 2
        self.se = SqueezeExcitation(half, max(half // SE_REDUCTION, 1))

    def transform(self, x: Tensor) -> Tensor:
        """The branch with the bottleneck, its channels weighed by SE."""
        return self.se(super().transform(x))


class SEResidualShuffleUnit(SEShuffleUnit):
    """A unit with SE and, where it keeps its input's shape, a residual path."""

    def transform(self, x: Tensor) -> Tensor:
        """The branch with the bottleneck and SE, plus its input in basic units."""
        return x + super().transform(x) if self.basic else super().transform(x)


@MODELS.register_module()
class ShuffleNetV2SE(ShuffleNetV2):
    """ShuffleNetV2 (or V2*) with squeeze-and-excitation in every unit.

    Arguments and stages are those of :class:`ShuffleNetV2`; its state-dict keys
    are the plain network's and ``se.fc1``, ``se.fc2`` in each unit.
    """

    block = SEShuffleUnit


class LargeLayout(NamedTuple):
    """What a column of the appendix's table says."""

    conv1: tuple[int, ...]
    stages: tuple[int, int, int, int]
    blocks: tuple[int, int, int, int]
    conv5: int
    block: type[ShuffleUnit]


LAYOUTS = {
    # depth: conv1_x, widths of conv2_x..conv5_x, their units, conv6, unit
    50: LargeLayout((64,), (244, 488, 976, 1952), (3, 4, 6, 3), 2048, ShuffleUnit),
    164: LargeLayout(
        (64, 64, 128), (340, 680, 1360, 2720), (10, 10, 23, 10), 2048, SEResidualShuffleUnit
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
        out_indices: Over 0 stage2 (stride 8), 1 stage3 (16), 2 stage4 (32),
            3 conv5 (32).
        frozen_stages: See :class:`StagedBackbone`.
        norm_eval: See :class:`StagedBackbone`.
        norm_cfg: Norm layer.
        act_cfg: Activation layer.
        with_cp: Whether units recompute their activations in the backward pass.
        init_cfg: See :class:`StagedBackbone`.
    """

    stem_names = ('conv1', 'maxpool', 'stage1')
    stage_names = ('stage2', 'stage3', 'stage4', 'conv5')

    def __init__(
        self,
        depth: int = 50,
        out_indices: Sequence[int] = (0, 1, 2),
        frozen_stages: int = -1,
        norm_eval: bool = False,
        norm_cfg: dict | None = None,
        act_cfg: dict | None = None,
        with_cp: bool = False,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(out_indices, frozen_stages, norm_eval, init_cfg)
        if depth not in LAYOUTS:
            raise UserError(f"depth={depth} is none of the paper's: choose from {list(LAYOUTS)}.")
        layout = LAYOUTS[depth]
        layers = dict(norm_cfg=norm_cfg or dict(type='BN'), act_cfg=act_cfg or dict(type='ReLU'))
        self.stage_channels = (*layout.stages[1:], layout.conv5)
        self.conv1 = nn.Sequential()
        channels = 3
        for index, width in enumerate(layout.conv1):
            self.conv1.extend(conv3x3(channels, width, 2 if index == 0 else 1, **layers))
            channels = width
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        for index, (width, count) in enumerate(zip(layout.stages, layout.blocks, strict=True)):
            stride = 1 if index == 0 else 2
            stage = make_stage(
                layout.block, channels, width, count, stride=stride, with_cp=with_cp, **layers
            )
            self.add_module(f'stage{index + 1}', stage)
            channels = width
        self.conv5 = nn.Sequential(*pointwise(channels, layout.conv5, **layers))
        self.freeze()
