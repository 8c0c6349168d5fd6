"""Image files of a data set: finding them, and their sizes as displayed.

Names come from annotation files and can be anything: ``os.path.isfile`` answers for all of them,
``Path.is_file`` raises where one is too long.
"""

import os
from collections.abc import Container, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from PIL import Image

SUFFIXES = frozenset({'.jpg', '.jpeg', '.png', '.bmp', '.webp', '.tif', '.tiff'})
ORIENTATION = 0x0112
"""EXIF tag; 5 to 8 swap width and height."""
READERS = 8
"""Threads that read image headers; they wait for the disk."""


def images_below(folder: Path, suffixes: Container[str] = SUFFIXES) -> list[Path]:
    """Image files in ``folder`` and its subfolders, links to folders among them, sorted by path;
    hidden ones are left out."""
    found = []
    for parent, folders, names in os.walk(folder, followlinks=True):
        folders[:] = sorted(name for name in folders if not name.startswith('.'))
        found += [Path(parent, name) for name in names if not name.startswith('.')]
    return sorted(path for path in found if path.suffix.lower() in suffixes)


def image_size(path: Path) -> tuple[int, int] | None:
    """(width, height) in pixels after EXIF orientation; None where it is no readable image."""
    try:
        with Image.open(path) as image:
            width, height = image.size
            turned = image.getexif().get(ORIENTATION, 1) in (5, 6, 7, 8)
    except Exception:  # Pillow's decoders raise whatever a damaged file leads to
        return None
    return (height, width) if turned else (width, height)


def image_sizes(paths: Iterable[Path]) -> Iterator[tuple[int, int] | None]:
    """:func:`image_size` of every path, in order, several at once."""
    with ThreadPoolExecutor(READERS) as pool:
        yield from pool.map(image_size, paths)
