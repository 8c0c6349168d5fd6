"""Large images in overlapping tiles: where the tiles lie, and the pixels of each."""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from lighthead.errors import UserError
from lighthead.inference.large_images import LargeImage
from lighthead.inference.preprocess import Preprocess

SMALLEST_TILE = 32
"""Pixels; a smaller tile is a typing error."""
LARGEST_OVERLAP = 0.9


class Region(NamedTuple):
    """A part of an image in pixels: ``x1 <= x < x2``, ``y1 <= y < y2``."""

    x1: int
    y1: int
    x2: int
    y2: int

    @property
    def size(self) -> tuple[int, int]:
        """(height, width)."""
        return self.y2 - self.y1, self.x2 - self.x1


class Part(NamedTuple):
    """A region's pixels, uint8 BGR (h, w, 3), resized for the network."""

    region: Region
    resized: np.ndarray

    @property
    def nbytes(self) -> int:
        """What it takes in memory."""
        return self.resized.nbytes


class Tiling(NamedTuple):
    """How images are cut: squares of ``tile`` pixels, of which neighbours share ``overlap``."""

    tile: int
    overlap: float

    def fits(self, size: tuple[int, int]) -> bool:
        """Whether an image of (height, width) is no larger than a tile."""
        return max(size) <= self.tile

    def regions(self, size: tuple[int, int]) -> list[Region]:
        """The tiles of an image of (height, width), evenly spread, row by row."""
        height, width = size
        return [
            Region(x, y, min(x + self.tile, width), min(y + self.tile, height))
            for y in self._starts(height)
            for x in self._starts(width)
        ]

    def _starts(self, side: int) -> list[int]:
        """Where the tiles of one side begin; the last one ends at the border."""
        room = max(side - self.tile, 0)
        count = math.ceil(room / (self.tile * (1 - self.overlap))) + 1
        return [round(index * room / max(count - 1, 1)) for index in range(count)]


def make_tiling(tile: int | None, overlap: float) -> Tiling | None:
    """Check what the user gave; None for no tiles.

    Raises:
        UserError: a value is out of range.
    """
    if tile is None:
        return None
    if tile < SMALLEST_TILE:
        raise UserError(f'tile={tile} is less than {SMALLEST_TILE} pixels.')
    if not 0 <= overlap <= LARGEST_OVERLAP:
        raise UserError(f'overlap={overlap} is not in 0..{LARGEST_OVERLAP}.')
    return Tiling(tile, overlap)


def cut(
    image: np.ndarray | LargeImage, size: tuple[int, int], tiling: Tiling, preprocess: Preprocess
) -> Iterator[Part]:
    """The whole image first, then its tiles, each as the network wants it.

    Args:
        image: uint8 BGR (H, W, 3), or an image that is read by windows.
        size: Its (height, width).
    """
    whole = Region(0, 0, size[1], size[0])
    if isinstance(image, LargeImage):
        yield Part(whole, image.read(whole, preprocess.resized_size(size)))
    else:
        yield Part(whole, preprocess.resize(image))
    for region in tiling.regions(size):
        x1, y1, x2, y2 = region
        pixels = image.read(region) if isinstance(image, LargeImage) else image[y1:y2, x1:x2]
        yield Part(region, preprocess.resize(pixels))
