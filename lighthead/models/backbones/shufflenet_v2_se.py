"""ShuffleNetV2 with squeeze-and-excitation (arXiv 1807.11164, Table 8: width 2.0x with SE, 597 M).

The paper does not draw the unit. Here SE (arXiv 1709.01507, reduction 16) closes the
transformed branch, before the concatenation, so that the branch which passes through stays
untouched. At width 2.0x this counts 583.4 M, and without SE 583.3 M (the paper: 591 M). SE
over both branches with reduction 2 would add the paper's 6 M, but it would weigh what passes
through anew in each of 16 units.
"""

from typing import Any

from mmdet.registry import MODELS
from torch import Tensor
from torchvision.ops import SqueezeExcitation

from lighthead.models.backbones.shufflenet_v2 import ShuffleNetV2, ShuffleUnit

SE_REDUCTION = 16


class SEShuffleUnit(ShuffleUnit):
    """A ShuffleNetV2 unit whose transformed branch ends in squeeze-and-excitation."""

    def __init__(self, in_channels: int, out_channels: int, *args: Any, **kwargs: Any) -> None:
        super().__init__(in_channels, out_channels, *args, **kwargs)
        half = out_channels // 2
        self.se = SqueezeExcitation(half, max(half // SE_REDUCTION, 1))

    def transform(self, x: Tensor) -> Tensor:
        """The branch with the bottleneck, its channels weighed by SE."""
        return self.se(super().transform(x))


@MODELS.register_module()
class ShuffleNetV2SE(ShuffleNetV2):
    """ShuffleNetV2 (or V2*) with squeeze-and-excitation in every unit.

    Arguments and stages are those of :class:`ShuffleNetV2`; its state-dict keys
    are the plain network's and ``se.fc1``, ``se.fc2`` in each unit.
    """

    block = SEShuffleUnit
