"""From images to the network's input, and from its boxes back to the images.

The numbers come from the checkpoint's config: the ``Resize`` of its test
pipeline and its ``data_preprocessor``. The arithmetic is mmdet's, bit for bit,
without mmcv and torch, so that exported files run where neither is installed.
"""

import math
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from lighthead.checkpoint.preprocess_settings import PreprocessSettings

INTERPOLATIONS = {
    'nearest': cv2.INTER_NEAREST,
    'bilinear': cv2.INTER_LINEAR,
    'bicubic': cv2.INTER_CUBIC,
    'area': cv2.INTER_AREA,
    'lanczos': cv2.INTER_LANCZOS4,
}
"""mmcv's names."""
ON_ARM = platform.machine().lower() in ('aarch64', 'arm64')
"""Where OpenCV has bilinear kernels for up to four channels that round a fifth of the pixels
differently when they shrink an image, by one grey level: boxes of low scores come and go."""


@dataclass(frozen=True)
class Preprocess:
    """What happens to an image before the network.

    Attributes:
        scale: (long side, short side) to fit into, or (width, height) without
            ``keep_ratio``; None keeps the size.
        keep_ratio: Whether the aspect ratio is kept.
        interpolation: One of :data:`INTERPOLATIONS`.
        mean, std: Per channel, in the network's channel order, over 0..255.
        swap_channels: Whether the network wants RGB (images are BGR).
        pad_divisor: Height and width are padded to multiples of it, at the
            bottom and on the right.
        pad_value: Value of the padding, after normalisation.
    """

    scale: tuple[int, int] | None
    keep_ratio: bool = True
    interpolation: str = 'bilinear'
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)
    swap_channels: bool = False
    pad_divisor: int = 1
    pad_value: float = 0.0

    @classmethod
    def from_settings(cls, settings: 'PreprocessSettings') -> 'Preprocess':
        """What a checkpoint's specification says."""
        return cls(**settings.model_dump())

    def to_dict(self) -> dict:
        """Plain data, to travel inside an exported file; ``Preprocess(**data)`` reads it."""
        return asdict(self)

    def resized_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """(height, width) after resizing an image of ``size`` (height, width); 1 at least."""
        if self.scale is None:
            return size
        if not self.keep_ratio:
            return self.scale[1], self.scale[0]
        factor = min(max(self.scale) / max(size), min(self.scale) / min(size))
        height, width = (int(side * factor + 0.5) for side in size)
        return max(height, 1), max(width, 1)

    def padded_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """(height, width) of the network's input for an image of ``size`` before resizing."""
        height, width = self.resized_size(size)
        divisor = self.pad_divisor
        return math.ceil(height / divisor) * divisor, math.ceil(width / divisor) * divisor

    def resize(self, image: np.ndarray) -> np.ndarray:
        """Resize a BGR image (H, W, 3), bilinearly to the same pixels on every processor."""
        height, width = self.resized_size(image.shape[:2])
        if (height, width) == image.shape[:2]:
            return image
        if ON_ARM and self.interpolation == 'bilinear':
            image = np.concatenate((image, image[..., :2]), axis=2)
        interpolation = INTERPOLATIONS[self.interpolation]
        resized = cv2.resize(image, (width, height), interpolation=interpolation)
        return np.ascontiguousarray(resized[..., :3])

    def batch(self, images: Sequence[np.ndarray], channels_last: bool = False) -> np.ndarray:
        """Normalise resized images, pad them to the largest and stack them.

        Args:
            images: ``uint8`` BGR (h, w, 3), already resized.
            channels_last: Whether a pixel's channels are neighbours in memory, as
                torch's convolutions want them, or the array is contiguous.

        Returns:
            ``float32`` (B, 3, H, W).
        """
        height, width = self.batch_size([image.shape[:2] for image in images])
        if channels_last:
            batch = np.empty((len(images), height, width, 3), np.float32).transpose(0, 3, 1, 2)
        else:
            batch = np.empty((len(images), 3, height, width), np.float32)
        fill = self._fill if channels_last else self._fill_planes
        for row, image in zip(batch, images, strict=True):
            h, w = image.shape[:2]
            fill(row[:, :h, :w], image)
            row[:, h:] = self.pad_value
            row[:, :h, w:] = self.pad_value
        return batch

    def batch_size(self, sizes: Sequence[tuple[int, int]]) -> tuple[int, int]:
        """(height, width) of a batch of resized images of these (height, width)."""
        divisor = self.pad_divisor
        height, width = (max(sides) for sides in zip(*sizes, strict=True))
        return math.ceil(height / divisor) * divisor, math.ceil(width / divisor) * divisor

    def restore(self, boxes: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """Boxes (N, 4) of the resized image in the frame of the original, clipped to it."""
        resized = self.resized_size(size)
        factor_y, factor_x = size[0] / resized[0], size[1] / resized[1]
        boxes = boxes * np.array([factor_x, factor_y] * 2, np.float32)
        return boxes.clip(0, np.array([size[1], size[0]] * 2, np.float32))

    def _table(self) -> np.ndarray:
        """The 256 results per channel (256, 3): far faster than the arithmetic."""
        values = np.arange(256, dtype=np.float32)[:, None]
        return (values - np.array(self.mean, np.float32)) / np.array(self.std, np.float32)

    def _fill(self, target: np.ndarray, image: np.ndarray) -> None:
        """Normalise an image (h, w, 3) into ``target`` (3, h, w), in channels-last memory."""
        if self.swap_channels:
            image = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
        cv2.LUT(image, self._table()[:, None], dst=target.transpose(1, 2, 0))

    def _fill_planes(self, target: np.ndarray, image: np.ndarray) -> None:
        """The same, plane by plane."""
        for channel, (plane, table) in enumerate(zip(target, self._table().T, strict=True)):
            source = 2 - channel if self.swap_channels else channel
            cv2.LUT(cv2.extractChannel(image, source), np.ascontiguousarray(table), dst=plane)
