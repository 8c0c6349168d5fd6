"""Images of a folder as inputs of an exported file, to calibrate INT8 with."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from lighthead.data.formats.image_files import images_below
from lighthead.deploy.metadata import INPUTS
from lighthead.errors import UserError
from lighthead.inference.images import read_image
from lighthead.inference.inputs import IMAGE_SUFFIXES
from lighthead.inference.preprocess import Preprocess

CALIBRATION_IMAGES = 200
"""More bring nothing: the extremes and histograms have settled."""


def calibration_inputs(
    folder: str | Path, preprocess: Preprocess, limit: int = CALIBRATION_IMAGES
) -> Iterator[dict[str, np.ndarray]]:
    """The images of a folder as inputs of an exported file, one by one.

    Evenly chosen where there are more than ``limit``.

    Raises:
        UserError: the folder has no image.
    """
    for path in calibration_files(folder, limit):
        image = preprocess.resize(read_image(path))
        batch = preprocess.batch([image])
        sizes = np.asarray([image.shape[:2]], np.float32)
        yield dict(zip(INPUTS, (batch, sizes), strict=True))


def calibration_files(folder: str | Path, limit: int = CALIBRATION_IMAGES) -> list[Path]:
    """Which images of a folder (and its subfolders, linked ones too) calibrate."""
    paths = images_below(Path(folder), IMAGE_SUFFIXES)
    if not paths:
        raise UserError(f'--calib {folder} holds no images: name a folder with typical ones.')
    step = max(len(paths) / limit, 1)
    return [paths[int(index * step)] for index in range(min(len(paths), limit))]
