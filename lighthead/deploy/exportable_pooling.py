"""PS-RoI align, average and maximum, in operators that every runtime has.

As in :mod:`lighthead.ops.ps_roi_align`, a bin is a weighted sum of rows of a table, the thin map
with one row of C numbers per (image, y, x, bin). Rows and weights are separable: what is read along
y and along x is computed for each axis, and then joined. Sums are matrix products, and every
broadcast goes along a whole axis: over a few numbers both are slow in ONNX Runtime and OpenVINO.
"""

import functools

import torch
from torch import Tensor, nn

from lighthead.deploy.inference_settings import InferenceSettings
from lighthead.ops.bin_samples import clamped_axis, positions, zero_padded_axis


class TablePooling(nn.Module):
    """PS-RoI align of every RoI from the thin map, as weighted rows of a table.

    Args:
        settings: Bins, stride, samples per axis, ``'avg'`` or ``'max'``.
        channels: Channels per bin (10).
    """

    bin_y: Tensor
    bin_x: Tensor
    spread: Tensor
    over_x: Tensor
    over_y: Tensor

    def __init__(self, settings: InferenceSettings, channels: int) -> None:
        super().__init__()
        self.bins, self.stride, self.mode = settings.bins, settings.stride, settings.mode
        self.samples, self.channels = settings.sampling_ratio, channels
        tall, wide = self.bins
        reads, unit = 2 * self.samples, torch.eye(channels)
        over_x = unit.repeat(reads, 1)
        if self.mode == 'max':  # the sums of each sample by itself
            over_x = torch.kron(torch.eye(self.samples), unit.repeat(2, 1))
        buffers = dict(
            bin_y=torch.arange(0, tall * wide, wide)[:, None, None],
            bin_x=torch.arange(wide)[:, None, None],
            spread=torch.eye(reads).repeat_interleave(channels, dim=1),
            over_x=over_x,
            over_y=torch.eye(wide * channels).repeat(reads, 1),
        )
        for name, buffer in buffers.items():
            self.register_buffer(name, buffer, persistent=False)

    def forward(self, thin: Tensor, rois: Tensor, images: Tensor) -> Tensor:
        """Thin map (B, bins * channels, H, W), RoIs (K, 4), their images (K,) -> (K, bins, C)."""
        rows, weights = self._reads(rois * (1 / self.stride), images, *thin.shape[2:])
        table = thin.permute(0, 2, 3, 1).reshape(-1, self.channels)
        reads = 2 * self.samples
        values = table.index_select(0, rows.reshape(-1)).view(-1, reads * self.channels)
        sums = values * (weights.reshape(-1, reads) @ self.spread) @ self.over_x
        tall, wide = self.bins
        if self.mode == 'avg':
            pooled = sums.view(-1, reads * wide * self.channels) @ self.over_y
        else:
            samples = self.samples
            upper, lower = sums.view(-1, 2, wide * samples * self.channels).unbind(1)
            sums = _largest((upper + lower).view(-1, samples, wide * samples * self.channels))
            pooled = _largest(sums.view(-1, samples, self.channels))
        return pooled.view(-1, tall * wide, self.channels)

    def _reads(
        self, rois: Tensor, images: Tensor, height: int, width: int
    ) -> tuple[Tensor, Tensor]:
        """Rows and weights (K, tall * s * 2, wide * s * 2): bins, samples, pixels of both axes."""
        low, size = rois[:, :2], rois[:, 2:] - rois[:, :2]
        axis = clamped_axis if self.mode == 'avg' else zero_padded_axis
        if self.mode == 'avg':
            low = low - 0.5
        else:
            size = size.clamp(min=0)
        tall, wide = self.bins
        x, x_weight = axis(positions(low[:, 0], size[:, 0], wide, self.samples), width)
        y, y_weight = axis(positions(low[:, 1], size[:, 1], tall, self.samples), height)
        if self.mode == 'avg':
            y_weight = y_weight / self.samples**2
        first = (images * height)[:, None, None, None]
        y = (y.long() + first) * (width * tall * wide) + self.bin_y
        x = x.long() * (tall * wide) + self.bin_x
        rows = y.flatten(1)[:, :, None] + x.flatten(1)[:, None]
        return rows, y_weight.flatten(1)[:, :, None] * x_weight.flatten(1)[:, None]


def _largest(values: Tensor) -> Tensor:
    """(N, S, V) to (N, V)."""
    return functools.reduce(torch.maximum, values.unbind(1))
