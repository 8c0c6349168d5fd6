"""TIFF files too large to be decoded as a whole: read by windows, in bounded memory.

GDAL reads them (rasterio, of the extra ``large``): tiled and striped files, classic and BigTIFF,
with the usual compressions. Its cache of decoded blocks is limited to :data:`CACHE`.
"""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from lighthead.files import printable
from lighthead.inference.conversions import import_extra
from lighthead.inference.images import ImageError, ImageLike

SUFFIXES = ('.tif', '.tiff')
LARGE_FILE = 2**25
"""Bytes; a smaller file is not opened to see how many pixels it has, unless it is compressed
more than any photograph."""
LARGE_IMAGE = 2**26
"""Pixels (201 MB decoded); smaller images are decoded as a whole."""
CACHE = 128
"""MiB of decoded blocks."""
_OPTIONS = dict(
    GDAL_CACHEMAX=CACHE, GDAL_DISABLE_READDIR_ON_OPEN='EMPTY_DIR', GDAL_PAM_ENABLED='NO'
)


class LargeImage:
    """A TIFF file whose windows are read when they are needed. One thread at a time.

    Attributes:
        size: (height, width).

    Raises:
        ImageError: it cannot be read, or holds no gray or colour image of 8 or 16 bits.
    """

    def __init__(self, path: str | os.PathLike) -> None:
        self.path = Path(path)
        with self._reading():
            self._file = _open(self.path)
            self.size = (self._file.height, self._file.width)
        kinds = set(self._file.dtypes)
        if self._file.count not in (1, 3, 4) or kinds - {'uint8', 'uint16'} or len(kinds) > 1:
            raise ImageError(
                f'{printable(path)} has {self._file.count} bands of {", ".join(sorted(kinds))}: '
                'convert it to gray or RGB of 8 or 16 bits.'
            )

    def __reduce__(self) -> tuple:
        return LargeImage, (self.path,)

    def read(
        self, region: tuple[int, int, int, int], size: tuple[int, int] | None = None
    ) -> np.ndarray:
        """A window as uint8 BGR (h, w, 3).

        Args:
            region: x1, y1, x2, y2 in pixels.
            size: (height, width) to reduce it to, by averaging; None: as it is.

        Raises:
            ImageError: this part of the file is damaged.
        """
        rasterio = import_extra('rasterio', 'large')
        x1, y1, x2, y2 = region
        bands = [1, 2, 3] if self._file.count > 1 else [1]
        shape = None if size is None else (len(bands), *size)
        with self._reading(), rasterio.Env(**_OPTIONS):
            pixels = self._file.read(
                bands,
                window=((y1, y2), (x1, x2)),
                out_shape=shape,
                resampling=rasterio.enums.Resampling.average,
            )
        if pixels.dtype == np.uint16:
            pixels = (pixels >> 8).astype(np.uint8)
        return cv2.merge([pixels[index] for index in ((2, 1, 0) if len(bands) > 1 else (0, 0, 0))])

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except (import_extra('rasterio', 'large').errors.RasterioError, OSError) as error:
            reason = str(error.__cause__ or error).splitlines()[0]
            raise ImageError(f'{printable(self.path)} cannot be read ({reason}).') from error


def _open(path: Path) -> Any:
    rasterio = import_extra('rasterio', 'large')
    with rasterio.Env(**_OPTIONS), warnings.catch_warnings():
        warnings.simplefilter('ignore', rasterio.errors.NotGeoreferencedWarning)
        return rasterio.open(path.resolve(), driver='GTiff')


def open_large(source: ImageLike) -> LargeImage | None:
    """The file, if it is a TIFF with more than :data:`LARGE_IMAGE` pixels.

    Raises:
        ImageError: it cannot be read.
        UserError: it is large, and the package that reads windows is not installed.
    """
    if not isinstance(source, str | os.PathLike):
        return None
    path = Path(source)
    if path.suffix.lower() not in SUFFIXES or not path.is_file():
        return None
    try:
        import_extra('rasterio', 'large')
    except Exception:
        if path.stat().st_size > LARGE_FILE:
            raise
        return None
    image = LargeImage(path)
    return image if image.size[0] * image.size[1] > LARGE_IMAGE else None
