"""From an upload to pixels; an image's size is read from its header before it is decoded."""

import io
from http import HTTPStatus

import numpy as np
from PIL import Image

from lighthead.inference.images import ImageError, decode_image
from lighthead.serving.refusal import RefusalError

FORMATS = ('JPEG', 'PNG', 'WEBP', 'BMP', 'GIF', 'TIFF', 'AVIF')
"""What is taken: formats whose decoders are made for files of strangers."""
NAME = 'the upload'


def decode_upload(content: bytes, most_pixels: int) -> np.ndarray:
    """The pixels of an image file: uint8 BGR (H, W, 3).

    Raises:
        RefusalError: it is no image, damaged, or has more than ``most_pixels``.
    """
    width, height = image_size(content)
    if width * height > most_pixels:
        raise _too_many(f'{width} x {height}', most_pixels)
    try:
        return decode_image(content, NAME)
    except ImageError as error:
        raise RefusalError(HTTPStatus.UNPROCESSABLE_ENTITY, str(error)) from error


def image_size(content: bytes) -> tuple[int, int]:
    """(width, height) by the header of an image file.

    Raises:
        RefusalError: there is no header of an image.
    """
    if not content:
        raise RefusalError(HTTPStatus.UNPROCESSABLE_ENTITY, f'{NAME} is empty: send an image file.')
    Image.init()
    known = [name for name in FORMATS if name in Image.OPEN]
    try:
        with Image.open(io.BytesIO(content), formats=known) as image:
            return image.size
    except Image.DecompressionBombError as error:
        raise _too_many('far too many', None) from error
    except Exception as error:  # Pillow's readers raise whatever a damaged header leads to
        raise RefusalError(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            f'{NAME} cannot be read as an image: send a {", ".join(known[:-1])} or {known[-1]} '
            'file.',
        ) from error


def _too_many(size: str, most: int | None) -> RefusalError:
    limit = '' if most is None else f', and {most / 1e6:g} million is the limit'
    message = f'The image has {size} pixels{limit}: make it smaller.'
    return RefusalError(HTTPStatus.UNPROCESSABLE_ENTITY, message)
