"""ShuffleNetV2 as its authors released it: another first unit of stage2.

Paper: arXiv 1807.11164, Table 5. Its multiply-adds (146/299/591 M at width 1.0x, 1.5x
and 2.0x) are those of the authors' code, where the branch that keeps the stem's
24 channels has 24 outputs and the other branch makes the rest. torchvision,
and :class:`ShuffleNetV2` here, give each branch half, which costs 144.9, 295.8
and 583.3 M. At 0.5x and in every other unit both are the same.
"""

from typing import Any

import torch
import torch.nn as nn
from mmdet.registry import MODELS
from torch import Tensor

from lighthead.models.backbones.layers import depthwise, pointwise
from lighthead.models.backbones.shufflenet_v2 import ShuffleNetV2, ShuffleUnit
from lighthead.weights.channel_order import channel_order


class UnequalEntryUnit(ShuffleUnit):
    """A unit of stride 2 whose ``branch1`` has as many outputs as inputs.

    No shuffle can put its channels where the next units look for them, so they
    are picked one by one.
    """

    order: Tensor

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        basic: bool,
        stride: int,
        norm_cfg: dict,
        act_cfg: dict,
        **unit_args: Any,
    ) -> None:
        layer_cfgs: dict[str, Any] = dict(norm_cfg=norm_cfg, act_cfg=act_cfg)
        super().__init__(in_channels, out_channels, basic, stride, **layer_cfgs, **unit_args)
        half = out_channels // 2
        self.branch1 = nn.Sequential(
            *depthwise(in_channels, stride, 1, norm_cfg),
            *pointwise(in_channels, in_channels, **layer_cfgs),
        )
        self.branch2 = nn.Sequential(
            *pointwise(in_channels, half, **layer_cfgs),
            *depthwise(half, stride, 1, norm_cfg),
            *pointwise(half, out_channels - in_channels, **layer_cfgs),
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

    @property
    def entry_block(self) -> type[ShuffleUnit]:
        """The class of stage2's first unit."""
        equal = 2 * self.widths.stem == self.widths.stages[0]
        return self.block if equal else UnequalEntryUnit
