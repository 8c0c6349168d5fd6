"""From the outputs of the heads to boxes, for batches whose image sizes are tensors."""

import torch
from mmdet.models.task_modules.coders import DeltaXYWHBBoxCoder, DistancePointBBoxCoder
from torch import Tensor, nn

MAX_LOG_RATIO = 4.135166556742356
"""-log(16 / 1000), mmdet's limit of a box's growth."""


class DeltaDecoder(nn.Module):
    """mmdet's ``DeltaXYWHBBoxCoder.decode``."""

    means: Tensor
    stds: Tensor

    def __init__(self, coder: DeltaXYWHBBoxCoder) -> None:
        super().__init__()
        self.register_buffer('means', torch.tensor(coder.means, dtype=torch.float32))
        self.register_buffer('stds', torch.tensor(coder.stds, dtype=torch.float32))
        self.clip = coder.clip_border

    def forward(self, rois: Tensor, deltas: Tensor, sizes: Tensor) -> Tensor:
        """Boxes (..., 4) from ``rois`` and ``deltas`` (..., 4), inside ``sizes`` (..., 2)."""
        deltas = deltas * self.stds + self.means
        low, high = rois[..., :2], rois[..., 2:]
        centre, extent = (low + high) * 0.5, high - low
        centre = centre + extent * deltas[..., :2]
        half = extent * deltas[..., 2:].clamp(-MAX_LOG_RATIO, MAX_LOG_RATIO).exp() * 0.5
        corners = torch.cat((centre - half, centre + half), dim=-1)
        return clipped(corners, sizes) if self.clip else corners


class DistributionDecoder(nn.Module):
    """GFL's boxes (arXiv 2006.04388): mean distances from an anchor's centre to the four sides.

    Args:
        coder: mmdet's, which says whether boxes are clipped.
        reg_max: A distance is distributed over 0 to ``reg_max`` strides.
        strides: (N,), in pixels, of each anchor's level.
    """

    steps: Tensor
    strides: Tensor

    def __init__(self, coder: DistancePointBBoxCoder, reg_max: int, strides: Tensor) -> None:
        super().__init__()
        self.register_buffer('steps', torch.arange(reg_max + 1.0))
        self.register_buffer('strides', strides[:, None])
        self.clip = coder.clip_border

    def forward(self, anchors: Tensor, logits: Tensor, sizes: Tensor) -> Tensor:
        """Boxes (B, N, 4) from ``anchors`` (B, N, 4) and ``logits`` (B, N, 4 * (reg_max + 1))."""
        logits = logits.unflatten(-1, (4, len(self.steps)))
        sides = (logits.softmax(-1) * self.steps).sum(-1) * self.strides
        centre = (anchors[..., :2] + anchors[..., 2:]) * 0.5
        corners = torch.cat((centre - sides[..., :2], centre + sides[..., 2:]), dim=-1)
        return clipped(corners, sizes) if self.clip else corners


def clipped(boxes: Tensor, sizes: Tensor) -> Tensor:
    """Boxes (..., 4) inside images of ``sizes`` (..., 2) as (height, width)."""
    height, width = sizes[..., :1], sizes[..., 1:]
    return torch.minimum(boxes.clamp(min=0), torch.cat((width, height, width, height), dim=-1))
