"""PS-RoI align, average and maximum, in operators that every runtime has.

As in :mod:`lighthead.ops.ps_roi_align`, a sample is a weighted sum of four rows
of a table. Here the four pixels around a sample are laid side by side in ONE
row, so that a gather fetches whole rows and the sums are matrix products:
broadcasts and reductions over so short an axis are slow in ONNX Runtime and
OpenVINO.
"""

import functools

import torch
from torch import Tensor, nn

from lighthead.deploy.inference_settings import InferenceSettings


class TablePooling(nn.Module):
    """PS-RoI align of every RoI from the thin map, as weighted rows of a table.

    Args:
        settings: Bins, stride, samples per axis, ``'avg'`` or ``'max'``.
        channels: Channels per bin (10).
    """

    steps_x: Tensor
    steps_y: Tensor
    spread: Tensor
    together: Tensor

    def __init__(self, settings: InferenceSettings, channels: int) -> None:
        super().__init__()
        self.bins, self.stride, self.mode = settings.bins, settings.stride, settings.mode
        self.samples, self.channels = settings.sampling_ratio, channels
        for name, count in zip(('steps_y', 'steps_x'), self.bins, strict=True):
            steps = (torch.arange(count * self.samples) + 0.5) / self.samples / count
            self.register_buffer(name, steps.view(count, self.samples), persistent=False)
        spread = torch.eye(4).repeat_interleave(channels, dim=1)
        self.register_buffer('spread', spread, persistent=False)
        together = torch.eye(channels).repeat(4, 1)
        if self.mode == 'avg':
            count = self.samples**2
            together = together.repeat(count, 1) / count
        self.register_buffer('together', together, persistent=False)

    def forward(self, thin: Tensor, rois: Tensor, images: Tensor) -> Tensor:
        """Thin map (B, bins * channels, H, W), RoIs (K, 4), their images (K,) -> (K, bins, C)."""
        height, width = thin.shape[2], thin.shape[3]
        table = self._table(thin)
        rois = rois * (1 / self.stride)
        if self.mode == 'avg':
            rois = rois - 0.5
        x, x_weight = self._axis(rois[:, 0], rois[:, 2], self.steps_x, width)
        y, y_weight = self._axis(rois[:, 1], rois[:, 3], self.steps_y, height)
        rows, weights = self._samples(images * (height + 1), y, y_weight, x, x_weight, width + 1)
        values = table.index_select(0, rows) * (weights @ self.spread)
        count = self.samples**2
        if self.mode == 'avg':
            pooled = values.view(-1, count * 4 * self.channels) @ self.together
        else:
            sums = (values @ self.together).view(-1, count * self.channels)
            pooled = functools.reduce(torch.maximum, sums.split(self.channels, dim=1))
        return pooled.view(-1, self.bins[0] * self.bins[1], self.channels)

    def _table(self, thin: Tensor) -> Tensor:
        """Rows (B * (H+1) * (W+1) * bins, 4 * C): pixels (y, x), (y, x+1), (y+1, x), (y+1, x+1)
        of a map with a border of zeros; y and x count from the border."""
        batch, _, height, width = thin.shape
        table = nn.functional.pad(thin, (1, 1, 1, 1)).permute(0, 2, 3, 1)
        bins = self.bins[0] * self.bins[1]
        table = table.reshape(batch, height + 2, width + 2, bins, self.channels)
        table = torch.cat((table[:, :, :-1], table[:, :, 1:]), dim=-1)
        table = torch.cat((table[:, :-1], table[:, 1:]), dim=-1)
        return table.reshape(-1, 4 * self.channels)

    def _axis(self, low: Tensor, high: Tensor, steps: Tensor, length: int) -> tuple[Tensor, Tensor]:
        """First pixel (K, bins, samples), counted from the border, and its weights (..., 2)."""
        size = high - low
        if self.mode == 'avg':
            position = low[:, None, None] + steps * size[:, None, None]
            inside = (position >= -1) & (position <= length)
            position = position.clamp(min=0).clamp(max=length - 1)
        else:
            position = low[:, None, None] + steps * size.clamp(min=0)[:, None, None]
            inside = (position > -1) & (position < length)
        position = torch.where(inside, position, -1.0)
        first = position.floor()
        far = position - first
        weights = torch.stack((1 - far, far), dim=-1) * inside.unsqueeze(-1)
        return first.long() + 1, weights

    def _samples(
        self, top: Tensor, y: Tensor, y_weight: Tensor, x: Tensor, x_weight: Tensor, width: int
    ) -> tuple[Tensor, Tensor]:
        """Table row and weights (K * bins * samples^2, 4) of every sample."""
        tall, wide = self.bins
        count = tall * wide
        y = (top[:, None, None] + y) * (width * count) + (
            torch.arange(tall, device=y.device)[:, None] * wide
        )
        x = x * count + torch.arange(wide, device=x.device)[:, None]
        rows = y[:, :, None, :, None] + x[:, None, :, None, :]
        weights = y_weight[:, :, None, :, None, :, None] * x_weight[:, None, :, None, :, None, :]
        return rows.reshape(-1), weights.reshape(-1, 4)
