"""Where the samples of position-sensitive RoI align lie, and which pixels they read.

With ``s = sampling_ratio``, the samples of bin (i, j) lie at
``y = y1 + (i + (n + 0.5) / s) * (y2 - y1) / ph`` for n in 0..s-1, and at x alike, where pixel
(y, x) of the map has its centre at the whole numbers. A sample is read from the four pixels
around it, bilinearly.

``'avg'``: the RoI times ``spatial_scale`` is shifted by -0.5. A sample beyond [-1, H] or [-1, W]
counts as zero, others are moved onto the map. A RoI with x2 < x1 is walked backwards.

``'max'``: no shift; the map goes on as zeros outside, so a sample between its edge and one pixel
further fades out. A RoI with x2 < x1 has no extent: all its samples lie at x1.
"""

from typing import Literal

import torch
from torch import Tensor

Mode = Literal['avg', 'max']


def bin_samples(
    rois: Tensor,
    map_shape: torch.Size,
    bins: tuple[int, int],
    spatial_scale: float,
    sampling_ratio: int,
    mode: Mode,
) -> tuple[Tensor, Tensor]:
    """Which rows of the table every bin reads, and their weights.

    Args:
        rois: (K, 5) as (image index, x1, y1, x2, y2) in pixels of the image, float32 or float64.
        map_shape: Shape (B, anything, H, W) of the map.
        bins: (ph, pw).
        spatial_scale: Size of the map over size of the image.
        sampling_ratio: s.

    Returns:
        Two tensors (K * ph * pw, s * s, 4): the bins, their samples in reading
        order, and the four pixels around a sample.
    """
    batch, _, height, width = map_shape
    s = sampling_ratio
    low, high = rois[:, 1:3] * spatial_scale, rois[:, 3:5] * spatial_scale
    if mode == 'avg':
        axis, low, size = clamped_axis, low - 0.5, high - low
    else:
        axis, size = zero_padded_axis, (high - low).clamp(min=0)
    x, x_weight = axis(positions(low[:, 0], size[:, 0], bins[1], s), width)
    y, y_weight = axis(positions(low[:, 1], size[:, 1], bins[0], s), height)

    count = bins[0] * bins[1]
    kind = torch.int32 if batch * height * width * count < 2**31 else torch.int64
    bin_y = torch.arange(0, count, bins[1], device=rois.device, dtype=kind).view(-1, 1, 1)
    bin_x = torch.arange(bins[1], device=rois.device, dtype=kind).view(-1, 1, 1)
    image = rois[:, 0].to(kind).view(-1, 1, 1, 1)
    y = (image * height + y.to(kind)) * (width * count) + bin_y
    x = x.to(kind) * count + bin_x
    if mode == 'avg':
        y_weight = y_weight / (s * s)
    y, y_weight = (_over_reads(t, dim=3).unsqueeze(2) for t in (y, y_weight))
    x, x_weight = (_over_reads(t, dim=2).unsqueeze(1) for t in (x, x_weight))
    shape = (rois.shape[0] * count, s * s, 4)
    return (y + x).reshape(shape), (y_weight * x_weight).reshape(shape)


def _over_reads(axis: Tensor, dim: int) -> Tensor:
    """One axis (K, bins, s, 2), repeated along the other: (K, bins, s * s * 4).

    The reads are ordered (sample y, sample x, pixel y, pixel x). Repeating the
    small axes first makes the large sum over both axes run along memory.
    """
    s = axis.shape[2]
    axis = axis.unsqueeze(dim).unsqueeze(dim + 2)
    return axis.expand(-1, -1, s, s, 2, 2).flatten(2)


def positions(start: Tensor, size: Tensor, bins: int, samples: int) -> Tensor:
    """Where the samples lie on one axis of the map, (K, bins, samples); ``start`` and ``size`` (K,)
    are those of the RoIs."""
    steps = torch.arange(bins * samples, device=start.device, dtype=start.dtype)
    steps = ((steps + 0.5) / samples).view(bins, samples)
    return start[:, None, None] + steps * (size / bins)[:, None, None]


def clamped_axis(position: Tensor, length: int) -> tuple[Tensor, Tensor]:
    """The two pixels around each position and their weights, (K, bins, samples, 2)."""
    inside = (position >= -1) & (position <= length)
    position = torch.where(inside, position, 0).clamp(0, length - 1)
    low = position.floor()
    far = position - low
    pixels = torch.stack((low, (low + 1).clamp(max=length - 1)), dim=-1)
    return pixels, torch.stack((1 - far, far), dim=-1) * inside[..., None]


def zero_padded_axis(position: Tensor, length: int) -> tuple[Tensor, Tensor]:
    """As :func:`clamped_axis`, for a map that goes on as zeros outside."""
    position = torch.where((position > -1) & (position < length), position, -1)
    low = position.floor()
    far = position - low
    pixels = torch.stack((low, low + 1), dim=-1)
    weights = torch.stack((1 - far, far), dim=-1) * ((pixels >= 0) & (pixels < length))
    return pixels.clamp(0, length - 1), weights
