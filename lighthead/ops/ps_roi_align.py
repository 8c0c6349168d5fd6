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

import torch
import torch.nn as nn
import torchvision
from torch import Tensor
from torch.nn.modules.utils import _pair

from lighthead.ops.bin_samples import Mode, bin_samples
from lighthead.ops.row_sums import largest_sample, sum_rows


def ps_roi_align(
    features: Tensor,
    rois: Tensor,
    output_size: int | tuple[int, int] = 7,
    spatial_scale: float = 1.0,
    sampling_ratio: int = 2,
    mode: Mode = 'avg',
) -> Tensor:
    """Pool every RoI into ``ph x pw`` bins, each from channels of its own.

    A bin is the mean (``'avg'``) or the largest (``'max'``) of its samples, which lie where
    :mod:`lighthead.ops.bin_samples` says. Of equal largest samples the first receives the
    gradient. ``'avg'`` equals :func:`torchvision.ops.ps_roi_align`, ``'max'`` is what the
    authors' code does, except where a sample falls exactly on a pixel: their kernel counts that
    pixel twice.

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
    rows, weights = bin_samples(rois, map_shape, bins, spatial_scale, sampling_ratio, mode)
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
