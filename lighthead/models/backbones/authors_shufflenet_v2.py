"""ShuffleNetV2 as its authors released it: another first unit of stage2.

Paper: arXiv 1807.11164, Table 5. Its multiply-adds (146/299/591 M at 1x, 1.5x
and 2x) are those of the authors' code, where the branch that keeps the stem's
24 channels has 24 outputs and the other branch makes the rest. torchvision,
and :class:`ShuffleNetV2` here, give each branch half, which costs 144.9, 295.8
and 583.3 M. At 0.5x and in every other unit both are the same.
"""

from collections.abc import Sequence

import torch
import torch.nn as nn
from mmdet.registry import MODELS
from torch import Tensor

from lighthead.models.backbones.shufflenet_v2 import (
    ShuffleNetV2,
    ShuffleUnit,
    depthwise,
    pointwise,
)
from lighthead.weights.channel_order import channel_order


class UnequalEntryUnit(ShuffleUnit):
    """A unit of stride 2 whose ``branch1`` has as many outputs as inputs.

    No shuffle can put its channels where the next units look for them, so they
    are picked one by one.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        norm_cfg: dict,
        act_cfg: dict,
        **unit_args,
    ) -> None:
        super().__init__(
            in_channels, out_channels, False, 2, norm_cfg=norm_cfg, act_cfg=act_cfg, **unit_args
        )
        half = out_channels // 2
        self.branch1 = nn.Sequential(
            *depthwise(in_channels, 2, 1, norm_cfg),
            *pointwise(in_channels, in_channels, norm_cfg, act_cfg),
        )
        self.branch2 = nn.Sequential(
            *pointwise(in_channels, half, norm_cfg, act_cfg),
            *depthwise(half, 2, 1, norm_cfg),
            *pointwise(half, out_channels - in_channels, norm_cfg, act_cfg),
        )
        order = torch.tensor(channel_order(out_channels))
        self.register_buffer('order', order, persistent=False)

    def _forward(self, x: Tensor) -> Tensor:
        outputs = torch.cat((self.branch1(x), self.transform(x)), dim=1)
        return outputs.index_select(1, self.order)


@MODELS.register_module()
class AuthorsShuffleNetV2(ShuffleNetV2):
    """ShuffleNetV2 (or V2*) for the weights that its authors released.

    Arguments, outputs and state-dict keys are those of :class:`ShuffleNetV2`;
    beyond 0.5x, ten tensors of ``stage2.0`` have other shapes.
    """

    paper_entry = True

    def __init__(
        self,
        widen_factor: float = 1.0,
        star: bool = False,
        out_indices: Sequence[int] = (0, 1, 2),
        frozen_stages: int = -1,
        norm_eval: bool = False,
        dilated_stage4: bool = False,
        norm_cfg: dict | None = None,
        act_cfg: dict | None = None,
        with_cp: bool = False,
        init_cfg: dict | None = None,
    ) -> None:
        norm_cfg = norm_cfg or dict(type='BN')
        act_cfg = act_cfg or dict(type='ReLU')
        super().__init__(
            widen_factor,
            star,
            out_indices,
            frozen_stages,
            norm_eval,
            dilated_stage4,
            norm_cfg,
            act_cfg,
            with_cp,
            init_cfg,
        )
        stem, channels = self.widths.stem, self.widths.stages[0]
        if 2 * stem != channels:
            self.stage2[0] = UnequalEntryUnit(
                stem, channels, norm_cfg, act_cfg, star=star, with_cp=with_cp
            )
        self.freeze()
