"""The Xception-like backbone of Light-Head R-CNN, arXiv 1711.07264.

Compared at four complexities in arXiv 1807.11164, Tables 7 and 8.
"""

from typing import Any

from mmdet.registry import MODELS

from lighthead.models.backbones.bottleneck_net import BottleneckNet, Layout, choose

LIGHT_XCEPTION = {
    # nominal: width 1.0x times the widen factor; multiply-adds counted, then the paper's
    0.5: Layout(24, (72, 144, 288)),  # 43.1 M, 40 M
    1.0: Layout(24, (144, 288, 576)),  # 143.1 M, 145 M
    1.5: Layout(24, (216, 432, 864)),  # 308.1 M, 305 M
    2.0: Layout(24, (288, 576, 1152)),  # 538.1 M, 525 M
}
LIGHT_XCEPTION_MATCHED = LIGHT_XCEPTION | {
    0.5: Layout(16, (72, 144, 288)),  # 40.0 M
    2.0: Layout(24, (284, 568, 1136)),  # 523.7 M
}


@MODELS.register_module()
class LightXception(BottleneckNet):
    """The Xception-like network of Light-Head R-CNN: 40, 145, 305 and 525 M.

    Its paper gives conv1 (24), the widths (144, 288, 576) and the units (1 + 3,
    1 + 7, 1 + 3) of the 145 M network, not the unit. ShuffleNet's unit without
    groups gives 143.1 M; two or three separable convolutions per unit give
    160.5 and 179.0 M, so the bottleneck was chosen. How the other three scale is not
    published. Times 0.5, 1.5 and 2 they count 43.1, 308.1 and 538.1 M, the
    ``matched=False`` networks. For ``matched=True`` the two that miss the
    paper's figure by more than 2 % move as little as possible, with stages 1:2:4
    in multiples of four: 0.5x gets a stem of 16 (40.0 M), 2.0x gets stages of
    284, 568, 1136 (523.7 M).

    Args:
        widen_factor: 0.5, 1.0, 1.5 or 2.0.
        matched: Whether 0.5x and 2.0x meet the paper's complexity.
        **kwargs: See :class:`BottleneckNet`.
    """

    def __init__(self, widen_factor: float = 1.0, matched: bool = True, **kwargs: Any) -> None:
        table = LIGHT_XCEPTION_MATCHED if matched else LIGHT_XCEPTION
        super().__init__(choose(table, widen_factor, 'widen_factor'), groups=1, **kwargs)
