"""From a source to an image that is ready for the network: what can be done ahead, or elsewhere."""

from typing import NamedTuple

import numpy as np

from lighthead.inference.images import ImageError, ImageLike, read_image
from lighthead.inference.large_images import LargeImage, open_large
from lighthead.inference.preprocess import Preprocess
from lighthead.inference.tiles import Tiling


class LoadedImage(NamedTuple):
    """An image before the network.

    Attributes:
        source: As it was given.
        size: (height, width).
        image: uint8 BGR (H, W, 3), or a file that is read by windows; None where ``resized`` is
            all that is needed.
        resized: The same for the network, uint8 BGR; None where it is to be cut into tiles.
    """

    source: ImageLike
    size: tuple[int, int]
    image: np.ndarray | LargeImage | None
    resized: np.ndarray | None

    @property
    def pixels(self) -> np.ndarray | None:
        """The decoded image where it is in memory."""
        return None if isinstance(self.image, LargeImage) else self.image

    @property
    def nbytes(self) -> int:
        """What it takes in memory; an image that needs no resizing counts twice."""
        return sum(0 if array is None else array.nbytes for array in (self.pixels, self.resized))


class FailedImage(NamedTuple):
    """An image that cannot be read."""

    source: ImageLike
    error: ImageError
    resized: None = None
    nbytes: int = 0


def load_image(
    source: ImageLike, preprocess: Preprocess, tiling: Tiling | None
) -> LoadedImage | FailedImage:
    """Read and resize an image; one that cannot be read comes with its error."""
    try:
        large = open_large(source) if tiling else None
        if large is not None:
            return LoadedImage(source, large.size, large, None)
        image = read_image(source)
    except ImageError as error:
        return FailedImage(source, error)
    height, width = image.shape[:2]
    if tiling and not tiling.fits((height, width)):
        return LoadedImage(source, (height, width), image, None)
    return LoadedImage(source, (height, width), image, preprocess.resize(image))
