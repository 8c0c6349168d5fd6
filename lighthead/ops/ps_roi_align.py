"""Position-sensitive RoI align, averaged or maximised over the samples of a bin.

Light-Head R-CNN (arXiv 1711.07264, section 3.2) pools a thin feature map of
``C * ph * pw`` channels: bin (i, j) of a RoI reads only the channels
``(c * ph + i) * pw + j``. Both variants are linear in the map except for the
maximum, so the map is laid out once as a table with one row of C numbers per
(image, y, x, bin), and a bin is a weighted sum of few rows. An embedding bag
does that on all cores; torchvision's CPU kernel uses one.

On a GPU the average of :func:`ps_roi_align` is torchvision's own kernel, a
single launch; the maximum, which torchvision lacks, is computed as on the CPU.
:func:`pool_table`, which detectors call at test time (``lighthead.deploy``),
computes both as on the CPU, whatever the device. None of this was measured on
a GPU. Nothing depends on values, so nothing waits for the GPU in the forward
pass, and no RoIs are no special case.
"""

from typing import Literal

import torch
import torch.nn as nn
import torchvision
from torch import Tensor
from torch.nn.modules.utils import _pair

from lighthead.ops.row_sums import largest_sample, sum_rows

Mode = Literal['avg', 'max']


def ps_roi_align(
    features: Tensor,
    rois: Tensor,
    output_size: int | tuple[int, int] = 7,
    spatial_scale: float = 1.0,
    sampling_ratio: int = 2,
    mode: Mode = 'avg',
) -> Tensor:
    """Pool every RoI into ``ph x pw`` bins, each from channels of its own.

    With ``s = sampling_ratio``, the samples of bin (i, j) lie at
    ``y = y1 + (i + (n + 0.5) / s) * (y2 - y1) / ph`` for n in 0..s-1, and at x
    alike, where pixel (y, x) of the map has its centre at the whole numbers:

    - ``'avg'`` equals :func:`torchvision.ops.ps_roi_align`. The RoI times
      ``spatial_scale`` is shifted by -0.5. A sample beyond [-1, H] or [-1, W]
      counts as zero, others are moved onto the map. The bin is the mean of its
      s * s samples. A RoI with x2 < x1 is walked backwards.
    - ``'max'`` is what the authors' code does. No shift; the map goes on as
      zeros outside, so a sample between its edge and one pixel further fades
      out. The bin is the largest of its s * s samples, the first of equal ones
      receives the gradient. A RoI with x2 < x1 has no extent: all its samples
      lie at x1. (Where a sample falls exactly on a pixel the authors' kernel
      counts that pixel twice; this one does not.)

    Coordinates, weights and sums are float32 (float64 for a float64 map), also
    under autocast. RoIs get no gradient. A sample at NaN counts as zero.

    Args:
        features: Map (B, C * ph * pw, H, W), any float type and memory format.
        rois: (K, 5) as (image index, x1, y1, x2, y2) in pixels of the image.
        output_size: Bins (ph, pw), or one number for both.
        spatial_scale: Size of the map over size of the image, e.g. 1/16.
        sampling_ratio: s, the samples per bin along each axis, at least 1.
        mode: ``'avg'`` or ``'max'``.

    Returns:
        (K, C, ph, pw) in the type of ``features``.

    Raises:
        ValueError: if shapes or options do not fit.
    """
    bins = _pair(output_size)
    _check(features, rois, bins, sampling_ratio, mode)
    channels = features.shape[1] // (bins[0] * bins[1])
    if features.is_cuda and mode == 'avg':
        return _torchvision_avg(features, rois, bins, spatial_scale, sampling_ratio)
    table = _table(features, bins)
    rois = rois.detach().to(table.dtype)
    pooled = pool_table(table, features.shape, rois, bins, spatial_scale, sampling_ratio, mode)
    return pooled.transpose(1, 2).reshape(rois.shape[0], channels, *bins).to(features.dtype)


def pool_table(
    table: Tensor,
    map_shape: torch.Size,
    rois: Tensor,
    bins: tuple[int, int],
    spatial_scale: float,
    sampling_ratio: int,
    mode: Mode,
) -> Tensor:
    """:func:`ps_roi_align` from a table with a row of C numbers per (image, y, x, bin).

    Args:
        table: (B * H * W * ph * pw, C), float32 or float64.
        map_shape: Shape (B, anything, H, W) of the map.
        rois: (K, 5) in the type of the table.

    Returns:
        (K, ph * pw, C).
    """
    rows, weights = _samples(rois, map_shape, bins, spatial_scale, sampling_ratio, mode)
    if mode == 'avg':
        pooled = sum_rows(table, rows.flatten(1), weights.flatten(1))
    else:
        sums = sum_rows(table, rows.flatten(0, 1), weights.flatten(0, 1))
        pooled = largest_sample(sums.view(*rows.shape[:2], table.shape[1]))
    return pooled.view(rois.shape[0], bins[0] * bins[1], table.shape[1])


class PSRoIAlign(nn.Module):
    """:func:`ps_roi_align` as a layer, as mmdet's RoI extractors want it.

    Attributes:
        output_size: Bins as a pair (ph, pw).
        spatial_scale: Size of the map over size of the image.
        sampling_ratio: Samples per bin along each axis.
        mode: ``'avg'`` or ``'max'``.
    """

    def __init__(
        self,
        output_size: int | tuple[int, int] = 7,
        spatial_scale: float = 1.0,
        sampling_ratio: int = 2,
        mode: Mode = 'avg',
    ) -> None:
        super().__init__()
        self.output_size = tuple(_pair(output_size))
        self.spatial_scale = spatial_scale
        self.sampling_ratio = sampling_ratio
        self.mode = mode

    def forward(self, features: Tensor, rois: Tensor) -> Tensor:
        """Map (B, C * ph * pw, H, W) and RoIs (K, 5) to (K, C, ph, pw)."""
        return ps_roi_align(
            features, rois, self.output_size, self.spatial_scale, self.sampling_ratio, self.mode
        )

    def extra_repr(self) -> str:
        return (
            f'output_size={self.output_size}, spatial_scale={self.spatial_scale}, '
            f'sampling_ratio={self.sampling_ratio}, mode={self.mode!r}'
        )


def _check(
    features: Tensor, rois: Tensor, bins: tuple[int, int], sampling_ratio: int, mode: str
) -> None:
    if features.dim() != 4 or rois.dim() != 2 or rois.shape[1] != 5:
        raise ValueError(
            f'ps_roi_align wants a map (B, C*ph*pw, H, W) and rois (K, 5), but got shapes '
            f'{tuple(features.shape)} and {tuple(rois.shape)}.'
        )
    if features.shape[1] % (bins[0] * bins[1]):
        raise ValueError(
            f'The map has {features.shape[1]} channels, which is no multiple of output_size '
            f'{bins[0]}x{bins[1]} = {bins[0] * bins[1]}: give the layer before it C*ph*pw channels.'
        )
    if sampling_ratio < 1:
        raise ValueError(f'sampling_ratio={sampling_ratio} must be at least 1.')
    if mode not in ('avg', 'max'):
        raise ValueError(f"mode={mode!r} is neither 'avg' nor 'max'.")


def _table(features: Tensor, bins: tuple[int, int]) -> Tensor:
    """Map (B, C * ph * pw, H, W) to rows (B * H * W * ph * pw, C), at least float32."""
    batch, channels, height, width = features.shape
    count = bins[0] * bins[1]
    rows = features.reshape(batch, channels // count, count, height, width).permute(0, 3, 4, 2, 1)
    dtype = torch.promote_types(features.dtype, torch.float32)
    return rows.to(dtype, memory_format=torch.contiguous_format).reshape(-1, channels // count)


def _samples(
    rois: Tensor,
    map_shape: torch.Size,
    bins: tuple[int, int],
    spatial_scale: float,
    sampling_ratio: int,
    mode: Mode,
) -> tuple[Tensor, Tensor]:
    """Which rows of the table every bin reads, and their weights.

    Returns:
        Two tensors (K * ph * pw, s * s, 4): the bins, their samples in reading
        order, and the four pixels around a sample.
    """
    batch, _, height, width = map_shape
    s = sampling_ratio
    low, high = rois[:, 1:3] * spatial_scale, rois[:, 3:5] * spatial_scale
    if mode == 'avg':
        axis, low, size = _clamped_axis, low - 0.5, high - low
    else:
        axis, size = _zero_padded_axis, (high - low).clamp(min=0)
    x, x_weight = axis(_positions(low[:, 0], size[:, 0], bins[1], s), width)
    y, y_weight = axis(_positions(low[:, 1], size[:, 1], bins[0], s), height)

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


def _positions(start: Tensor, size: Tensor, bins: int, samples: int) -> Tensor:
    """Where the samples lie on one axis of the map, (K, bins, samples)."""
    steps = torch.arange(bins * samples, device=start.device, dtype=start.dtype)
    steps = ((steps + 0.5) / samples).view(bins, samples)
    return start[:, None, None] + steps * (size / bins)[:, None, None]


def _clamped_axis(position: Tensor, length: int) -> tuple[Tensor, Tensor]:
    """The two pixels around each position and their weights, (K, bins, samples, 2)."""
    inside = (position >= -1) & (position <= length)
    position = torch.where(inside, position, 0).clamp(0, length - 1)
    low = position.floor()
    far = position - low
    pixels = torch.stack((low, (low + 1).clamp(max=length - 1)), dim=-1)
    return pixels, torch.stack((1 - far, far), dim=-1) * inside[..., None]


def _zero_padded_axis(position: Tensor, length: int) -> tuple[Tensor, Tensor]:
    """As :func:`_clamped_axis`, for a map that goes on as zeros outside."""
    position = torch.where((position > -1) & (position < length), position, -1)
    low = position.floor()
    far = position - low
    pixels = torch.stack((low, low + 1), dim=-1)
    weights = torch.stack((1 - far, far), dim=-1) * ((pixels >= 0) & (pixels < length))
    return pixels.clamp(0, length - 1), weights


def _torchvision_avg(
    features: Tensor,
    rois: Tensor,
    bins: tuple[int, int],
    spatial_scale: float,
    sampling_ratio: int,
) -> Tensor:
    """torchvision's kernel, which is one launch on a GPU, in float32 for half maps."""
    dtype = torch.promote_types(features.dtype, torch.float32)
    pooled = torchvision.ops.ps_roi_align(
        features.to(dtype), rois.detach().to(dtype), bins, spatial_scale, sampling_ratio
    )
    return pooled.to(features.dtype)
