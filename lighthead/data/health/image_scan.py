"""Every image of a data set opened once: is it whole, how large is it, what does it look like."""

import os
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from lighthead.data.formats.image_files import READERS, image_size

HASH_SIDE = 8
"""An image's fingerprint has this many bits per side."""


@dataclass(frozen=True)
class ImageScan:
    """What one image file holds.

    Attributes:
        size: (width, height) as displayed; None where the file cannot be decoded.
        fingerprint: 64 bits that are alike for images that look alike; None as above.
        error: Why it cannot be decoded.
    """

    path: Path
    size: tuple[int, int] | None
    fingerprint: int | None
    error: str = ''


def scan_images(paths: Sequence[Path]) -> Iterator[ImageScan]:
    """Scan images, several at once, in order; only a few are in memory at a time."""
    with ThreadPoolExecutor(READERS) as pool:
        yield from pool.map(scan_image, paths)


def scan_image(path: Path) -> ImageScan:
    """Decode one image; a file that is cut off counts as broken."""
    if not os.path.isfile(path):
        return ImageScan(path, None, None, 'the file is missing')
    try:
        with warnings.catch_warnings(), Image.open(path) as image:
            warnings.simplefilter('ignore')
            image.draft('L', (HASH_SIDE * 16, HASH_SIDE * 16))  # JPEG is decoded at a small size
            return ImageScan(path, image_size(path), fingerprint(ImageOps.exif_transpose(image)))
    except Exception as error:  # Pillow's decoders raise whatever a damaged file leads to
        return ImageScan(path, None, None, str(error) or type(error).__name__)


def fingerprint(image: Image.Image) -> int:
    """Difference hash: whether each cell of a 9 x 8 thumbnail is darker than its right neighbour.

    It survives scaling, recompression and small changes of brightness.
    """
    grey = image.convert('L').resize((HASH_SIDE + 1, HASH_SIDE), Image.Resampling.BOX)
    pixels = np.asarray(grey, np.int16)
    bits = (pixels[:, 1:] > pixels[:, :-1]).ravel()
    return int.from_bytes(np.packbits(bits).tobytes(), 'big')
