"""From a source to an image that is ready for the network: what can be done ahead, or elsewhere."""

from typing import NamedTuple

import numpy as np

from lighthead.inference.images import ImageError, ImageLike, read_image
from lighthead.inference.large_images import LargeImage, open_large
from lighthead.inference.preprocess import Preprocess
from lighthead.inference.tiles import Tiling


class LoadedImage(NamedTuple):
    """An image before the network, or why there is none.

    Attributes:
        source: As it was given.
        size: (height, width).
        image: uint8 BGR (H, W, 3), or a file that is read by windows.
        resized: The same for the network, uint8 BGR; None where it is to be cut into tiles.
    """

    source: ImageLike
    size: tuple[int, int] | None = None
    image: np.ndarray | LargeImage | None = None
    resized: np.ndarray | None = None
    error: ImageError | None = None

    @property
    def pixels(self) -> np.ndarray | None:
        """The decoded image where it is in memory."""
        return None if isinstance(self.image, LargeImage) else self.image


def load_image(source: ImageLike, preprocess: Preprocess, tiling: Tiling | None) -> LoadedImage:
    """Read and resize an image; one that cannot be read comes with its error."""
    try:
        image = (open_large(source) if tiling else None) or read_image(source)
    except ImageError as error:
        return LoadedImage(source, error=error)
    size = image.size if isinstance(image, LargeImage) else image.shape[:2]
    if tiling and not tiling.fits(size):
        return LoadedImage(source, size, image)
    return LoadedImage(source, size, image, preprocess.resize(image))
