"""ShuffleNet v1 with three groups, and its large variant.

Paper: arXiv 1707.01083, Table 1; compared in arXiv 1807.11164, Tables 6 to 8.
"""

from typing import Any

from mmdet.registry import MODELS

from lighthead.models.backbones.bottleneck_net import BottleneckNet, Layout, choose

SHUFFLENET_V1 = {
    # widen factor -> conv1, (stage2, stage3, stage4), g = 3; multiply-adds counted, the paper's
    0.5: Layout(12, (120, 240, 480)),  # 37.6 M, 38 M
    1.0: Layout(24, (240, 480, 960)),  # 137.5 M, 140 M
    1.5: Layout(24, (360, 720, 1440)),  # 292.4 M, 292 M
    2.0: Layout(48, (480, 960, 1920)),  # 524.0 M, 524 M
}
SHUFFLENET_V1_50 = Layout(64, (360, 720, 1440, 2880), (3, 4, 6, 3), reduction=2)


@MODELS.register_module()
class ShuffleNetV1(BottleneckNet):
    """ShuffleNet v1 with three groups.

    The stem is the one that meets the paper's complexity at each width: 12 at width
    0.5x, 48 at 2.0x, but 24 at 1.5x (36 would give 299.6 M for 292 M). It is the
    network that its authors released; their weights load
    (:mod:`lighthead.weights.megvii_v1`).

    Args:
        widen_factor: 0.5, 1.0, 1.5 or 2.0.
        **kwargs: See :class:`BottleneckNet`.
    """

    def __init__(self, widen_factor: float = 1.0, **kwargs: Any) -> None:
        super().__init__(choose(SHUFFLENET_V1, widen_factor, 'widen_factor'), groups=3, **kwargs)


@MODELS.register_module()
class LargeShuffleNetV1(BottleneckNet):
    """ShuffleNet v1-50, g = 3 (Table 6 and appendix of arXiv 1807.11164: 2.3 G).

    The paper gives the widths of conv2_x..conv5_x (``stage1``..``stage4`` here,
    ``stage1`` in the stem), not the bottleneck's. Half a unit's width gives 2.297 G;
    a quarter, as in the small networks, 1.16 G. The first unit goes from 64 to
    360 channels at stride 1, so it has no shortcut (a projection: 2.37 G).

    Args:
        **kwargs: See :class:`BottleneckNet`.
    """

    stem_names = ('conv1', 'maxpool', 'stage1')

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(SHUFFLENET_V1_50, groups=3, **kwargs)
