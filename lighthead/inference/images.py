"""Images from files, arrays, Pillow and tensors, as the detector wants them.

Everything becomes ``uint8`` BGR of shape (H, W, 3), the format of mmdet's
``LoadImageFromFile``. Files go through the same OpenCV decoder as in training,
so that both see the same pixels: the EXIF orientation is applied, an alpha
channel is dropped, 16 bits become 8 by their high byte, CMYK becomes RGB.
Pillow reads the formats that OpenCV does not know.
"""

import io
import os
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from lighthead.errors import UserError

ImageLike: TypeAlias = str | os.PathLike | np.ndarray | Image.Image | Tensor

OPENCV_FORMATS = ('JPEG', 'PNG', 'WEBP', 'BMP')
"""Formats in which OpenCV's refusal means a damaged file."""


class ImageError(UserError):
    """A picture or video that cannot be read; the message names it."""


def read_image(source: ImageLike) -> np.ndarray:
    """Read one image.

    Args:
        source: A path; a numpy array (H, W), (H, W, 1), (H, W, 3) in **BGR**
            order, as OpenCV and mmdet have it, or (H, W, 4) in BGRA order,
            ``uint8`` or ``uint16``; a Pillow image of any mode; or a tensor
            (3, H, W) or (1, H, W) in **RGB** order, as torchvision has it,
            ``uint8``, or floating point in 0..1.

    Returns:
        ``uint8`` array (H, W, 3), BGR, contiguous.

    Raises:
        ImageError: the source is missing, damaged or of another kind.
    """
    if isinstance(source, str | os.PathLike):
        return _read_file(Path(source))
    if isinstance(source, np.ndarray):
        return _from_array(source)
    if isinstance(source, Image.Image):
        return _from_pillow(source, 'the Pillow image')
    if isinstance(source, Tensor):
        return _from_tensor(source)
    raise ImageError(
        f'An image must be a path, a numpy array, a Pillow image or a tensor, '
        f'not {type(source).__name__}.'
    )


def _read_file(path: Path) -> np.ndarray:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ImageError(f'{path}: cannot be read ({error.strerror or error}).') from error
    if not data:
        raise ImageError(f'{path}: the file is empty.')
    if data[:2] == b'\xff\xd8' and not _jpeg_is_complete(data):
        raise ImageError(f'{path}: the JPEG file is cut off; copy it again.')
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise ImageError(f'{path}: OpenCV cannot decode it ({error.err}).') from error
    return _decode_with_pillow(data, path) if image is None else image


def _jpeg_is_complete(data: bytes) -> bool:
    """Whether the end marker follows the picture's data.

    OpenCV may fill the rest of a cut-off JPEG with grey. Segments are skipped
    by their length up to the first scan, so that a thumbnail's end marker does
    not count. Where the marker is missing, Pillow tells whether all data is there.
    """
    position = 2
    while position + 4 <= len(data) and data[position] == 0xFF and data[position + 1] != 0xDA:
        if data[position + 1] == 0xFF:  # fill byte
            position += 1
        else:
            position += 2 + int.from_bytes(data[position + 2 : position + 4], 'big')
    if data.find(b'\xff\xd9', position) >= 0:
        return True
    try:
        Image.open(io.BytesIO(data)).load()
    except Exception:
        return False
    return True


def _decode_with_pillow(data: bytes, path: Path) -> np.ndarray:
    try:
        image = Image.open(io.BytesIO(data))
        if image.format in OPENCV_FORMATS:
            raise ImageError(f'{path}: the {image.format} file is damaged or cut off.')
        return _from_pillow(image, str(path))
    except ImageError:
        raise
    except Exception as error:  # Pillow's decoders raise whatever a damaged file leads to
        reason = 'no image format that OpenCV or Pillow knows'
        if not isinstance(error, Image.UnidentifiedImageError):
            reason = f'damaged or cut off: {error}'
        raise ImageError(f'{path}: cannot be read as an image ({reason}).') from error


def _from_pillow(image: Image.Image, name: str) -> np.ndarray:
    image = ImageOps.exif_transpose(image)
    if image.mode == 'F':
        raise ImageError(
            f'{name} holds floating-point pixels of unknown range: convert it to 8 or 16 bits.'
        )
    if image.mode.startswith('I'):  # 16 bits, which Pillow may keep in 32
        values = np.asarray(image).astype(np.int64)
        if values.min() < 0 or values.max() > 65535:
            raise ImageError(f'{name} holds 32-bit pixels: convert it to 8 or 16 bits.')
        return _from_array(values.astype(np.uint16))
    return np.ascontiguousarray(np.asarray(image.convert('RGB'))[..., ::-1])


def _from_array(array: np.ndarray) -> np.ndarray:
    if array.dtype == np.uint16:
        array = (array >> 8).astype(np.uint8)
    if array.dtype != np.uint8:
        raise ImageError(
            f'A numpy image must be uint8 (0..255) or uint16, not {array.dtype}: '
            'scale it yourself, e.g. (image * 255).round().astype("uint8").'
        )
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim != 3 or array.shape[2] not in (1, 3, 4):
        raise ImageError(
            f'A numpy image must have the shape (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), '
            f'not {array.shape}; give several images as a list.'
        )
    if array.size == 0:
        raise ImageError(f'The image has no pixels: its shape is {array.shape}.')
    if array.shape[2] == 1:
        array = np.repeat(array, 3, axis=2)
    return np.ascontiguousarray(array[..., :3])


def _from_tensor(tensor: Tensor) -> np.ndarray:
    if tensor.ndim != 3 or tensor.shape[0] not in (1, 3):
        raise ImageError(
            f'An image tensor must have the shape (3, H, W) or (1, H, W), '
            f'not {tuple(tensor.shape)}; give several images as a list.'
        )
    tensor = tensor.detach().cpu()
    if tensor.is_floating_point():
        if tensor.numel() and not (tensor.min() >= 0 and tensor.max() <= 1):
            raise ImageError(
                'A floating-point image tensor must lie in 0..1, as torchvision has it; '
                'give other ranges, or a normalised image, as uint8.'
            )
        tensor = tensor.float().mul(255).round().to(torch.uint8)
    if tensor.dtype != torch.uint8:
        raise ImageError(f'An image tensor must be uint8 or floating point, not {tensor.dtype}.')
    return _from_array(tensor.flip(0).permute(1, 2, 0).numpy())
