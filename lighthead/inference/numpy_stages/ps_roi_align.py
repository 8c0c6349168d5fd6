"""Position-sensitive RoI align in numpy; where samples lie: :mod:`lighthead.ops.bin_samples`."""

import numpy as np

from lighthead.deploy.inference_settings import InferenceSettings


def ps_roi_align(thin_map: np.ndarray, rois: np.ndarray, settings: InferenceSettings) -> np.ndarray:
    """Pool every RoI.

    Args:
        thin_map: (bins * C, H, W), channels in the order (bin, channel).
        rois: (K, 4) float32 in pixels of the image.
        settings: Bins, stride, samples per axis, average or maximum.

    Returns:
        float32 (K, bins * C), in the same order.
    """
    tall, wide = settings.bins
    height, width = thin_map.shape[1:]
    low, high = (rois[:, at : at + 2] / np.float32(settings.stride) for at in (0, 2))
    size = high - low
    if settings.mode == 'avg':
        axis, low = _clamped_axis, low - np.float32(0.5)
    else:
        axis, size = _zero_padded_axis, size.clip(0, None)
    samples = settings.sampling_ratio
    x, x_weight = axis(_positions(low[:, 0], size[:, 0], wide, samples), width)
    y, y_weight = axis(_positions(low[:, 1], size[:, 1], tall, samples), height)
    table = thin_map.transpose(1, 2, 0).reshape(height, width, tall * wide, -1)
    sums = _interpolated(table, (y, y_weight), (x, x_weight))
    pooled = sums.mean(axis=(3, 4)) if settings.mode == 'avg' else sums.max(axis=(3, 4))
    return pooled.reshape(len(rois), thin_map.shape[0])


def _interpolated(
    table: np.ndarray, y: tuple[np.ndarray, np.ndarray], x: tuple[np.ndarray, np.ndarray]
) -> np.ndarray:
    """Values of all samples: (K, tall, wide, samples, samples, C).

    Args:
        table: (H, W, bins, C).
        y, x: Pixels and their weights, each (K, tall or wide, samples, 2).
    """
    tall, wide = y[0].shape[1], x[0].shape[1]
    bins = np.arange(tall * wide).reshape(tall, wide)[None, :, :, None, None]
    total: np.ndarray = np.float32(0)  # type: ignore[assignment]
    for top in (0, 1):
        for left in (0, 1):
            row, column = y[0][:, :, None, :, None, top], x[0][:, None, :, None, :, left]
            weight = y[1][:, :, None, :, None, top] * x[1][:, None, :, None, :, left]
            total = total + table[row, column, bins] * weight[..., None]
    return total


def _positions(start: np.ndarray, size: np.ndarray, bins: int, samples: int) -> np.ndarray:
    """Where the samples lie on one axis of the map, (K, bins, samples)."""
    steps = (np.arange(bins * samples, dtype=np.float32) + np.float32(0.5)) / np.float32(samples)
    return (
        start[:, None, None]
        + steps.reshape(bins, samples) * (size / np.float32(bins))[:, None, None]
    )


def _clamped_axis(position: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
    """The two pixels around each position and their weights, (K, bins, samples, 2)."""
    inside = (position >= -1) & (position <= length)
    position = np.where(inside, position, np.float32(0)).clip(0, length - 1)
    low = np.floor(position)
    far = position - low
    pixels = np.stack((low, (low + 1).clip(None, length - 1)), axis=-1).astype(np.int64)
    return pixels, np.stack((1 - far, far), axis=-1) * inside[..., None]


def _zero_padded_axis(position: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
    """As :func:`_clamped_axis`, for a map that goes on as zeros outside."""
    position = np.where((position > -1) & (position < length), position, np.float32(-1))
    low = np.floor(position)
    far = position - low
    pixels = np.stack((low, low + 1), axis=-1).astype(np.int64)
    weights = np.stack((1 - far, far), axis=-1) * ((pixels >= 0) & (pixels < length))
    return pixels.clip(0, length - 1), weights
