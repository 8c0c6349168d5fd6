"""The large separable convolution that makes Light-Head R-CNN's thin feature map.

Light-Head R-CNN, arXiv 1711.07264, section 3.2 and Figure 3; biases, the
missing activation between the convolutions and the ReLU after the sum follow
the authors' code.
"""

from functools import partial

from mmdet.registry import MODELS
from mmengine.model import BaseModule
from torch import Tensor, nn


@MODELS.register_module()
class LargeSeparableConv(BaseModule):
    """(k x 1 -> 1 x k) + (1 x k -> k x 1), then ReLU, on the last feature map.

    It is a neck, so that it runs once per image however often the RoI head
    pools from its output.

    Args:
        in_channels: Channels of the last feature map (conv5: 1024 or 2048).
        mid_channels: Channels between two convolutions: 64 for small networks
            (the paper's S), 256 for large ones (L).
        out_channels: Channels of the thin map: 10 x 7 x 7.
        kernel_size: The k of the paper.
    """

    def __init__(
        self,
        in_channels: int,
        mid_channels: int = 64,
        out_channels: int = 490,
        kernel_size: int = 15,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg or dict(type='Normal', layer='Conv2d', std=0.01))
        tall = partial(nn.Conv2d, kernel_size=(kernel_size, 1), padding=(kernel_size // 2, 0))
        wide = partial(nn.Conv2d, kernel_size=(1, kernel_size), padding=(0, kernel_size // 2))
        self.tall_wide = nn.Sequential(
            tall(in_channels, mid_channels),
            wide(mid_channels, out_channels),
        )
        self.wide_tall = nn.Sequential(
            wide(in_channels, mid_channels),
            tall(mid_channels, out_channels),
        )
        self.relu = nn.ReLU(inplace=True)

    def forward(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Feature maps (..., C5) to (..., thin map (B, out_channels, H5, W5))."""
        *others, last = inputs
        return (*others, self.relu(self.tall_wide(last) + self.wide_tall(last)))
