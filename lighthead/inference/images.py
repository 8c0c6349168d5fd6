"""Images from files, arrays, Pillow and tensors, as the detector wants them.

Everything becomes ``uint8`` BGR of shape (H, W, 3), the format of mmdet's
``LoadImageFromFile``. Files go through the same OpenCV decoder as in training,
so that both see the same pixels: the EXIF orientation is applied, an alpha
channel is dropped, 16 bits become 8 by their high byte, CMYK becomes RGB.
Pillow reads the formats that OpenCV does not know. Neither Pillow nor torch is
needed for the rest, and torch is never imported here.
"""

import io
import os
import sys
from typing import TYPE_CHECKING, TypeAlias, TypeGuard, Union

MOST_PIXELS = 2**28
"""Of an image that is decoded, which then takes 0.8 GB, and up to five times that on the way.
OpenCV, which reads the variable when it is imported, would take four times as many."""
LIMIT_VARIABLE = 'OPENCV_IO_MAX_IMAGE_PIXELS'
os.environ.setdefault(LIMIT_VARIABLE, str(MOST_PIXELS))

import cv2  # noqa: E402
import numpy as np  # noqa: E402

from lighthead.errors import UserError  # noqa: E402
from lighthead.files import printable, read_regular_file, write_bytes_file  # noqa: E402

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor

ImageLike: TypeAlias = Union[str, os.PathLike, bytes, np.ndarray, 'Image.Image', 'Tensor']

OPENCV_FORMATS = ('JPEG', 'PNG', 'WEBP', 'BMP')
"""Formats in which OpenCV's refusal means a damaged file."""
FLOATING_POINT = ' holds floating-point pixels of unknown range: convert it to 8 or 16 bits.'


class ImageError(UserError):
    """An image or video that cannot be read; the message names it."""


def read_image(source: ImageLike) -> np.ndarray:
    """Read one image.

    Args:
        source: A path; the content of an image file (bytes); a numpy array
            (H, W), (H, W, 1), (H, W, 3) in **BGR** order, as OpenCV and mmdet have
            it, or (H, W, 4) in BGRA order, ``uint8`` or ``uint16``; a Pillow image
            of any mode; or a tensor (3, H, W) or (1, H, W) in **RGB** order, as torchvision has it,
            ``uint8``, or floating point in 0..1.

    Returns:
        ``uint8`` array (H, W, 3), BGR, contiguous.

    Raises:
        ImageError: the source is missing, damaged or of another kind.
    """
    if isinstance(source, str | os.PathLike):
        return _read_file(source)
    if isinstance(source, bytes):
        return decode_image(source, 'the image')
    if isinstance(source, np.ndarray):
        return _from_array(source)
    if _is_pillow(source):
        return _from_pillow(source, 'the Pillow image')
    if _is_tensor(source):
        return _from_tensor(source)
    raise ImageError(
        f'An image must be a path, bytes, a numpy array, a Pillow image or a tensor, '
        f'not {type(source).__name__}.'
    )


def write_image(path: str | os.PathLike, image: np.ndarray, sync: bool = True) -> None:
    """Write a BGR image (H, W, 3), whole or not at all; the format goes by the suffix.

    Args:
        sync: See :func:`lighthead.files.replacing`.

    Raises:
        UserError: the format is unknown, or the file cannot be written.
    """
    name, suffix = printable(path), os.path.splitext(path)[1].lower()
    try:
        _, data = cv2.imencode(suffix, image)
    except cv2.error as error:
        raise UserError(f'{name}: OpenCV cannot write images of this format: try .jpg.') from error
    try:
        write_bytes_file(data.tobytes(), path, sync)
    except OSError as error:
        raise UserError(f'{name} cannot be written ({error.strerror}).') from error


def _is_pillow(source: object) -> 'TypeGuard[Image.Image]':
    return _is_instance(source, 'PIL.Image', 'Image')


def _is_tensor(source: object) -> 'TypeGuard[Tensor]':
    return _is_instance(source, 'torch', 'Tensor')


def _is_instance(source: object, module: str, name: str) -> bool:
    """Whether ``source`` is of a package's class; nothing is, before the package is imported."""
    return module in sys.modules and isinstance(source, getattr(sys.modules[module], name))


def _read_file(path: str | os.PathLike) -> np.ndarray:
    name = printable(path)
    try:
        data = read_regular_file(path)
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        reason = getattr(error, 'strerror', None) or error
        raise ImageError(f'{name}: cannot be read ({reason}).') from error
    return decode_image(data, name)


def decode_image(data: bytes, name: str) -> np.ndarray:
    """Decode an image file's content; ``name`` stands in error messages. See :func:`read_image`."""
    if not data:
        raise ImageError(f'{name}: the file is empty.')
    if data[:2] in (b'Pf', b'PF'):  # PFM, which OpenCV would round
        raise ImageError(f'{name}{FLOATING_POINT}')
    if data[:2] == b'\xff\xd8' and not _jpeg_is_complete(data):
        raise ImageError(f'{name}: the JPEG file is cut off; copy it again.')
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:
        reason = f'{name}: OpenCV cannot decode it ({error.err}).'
        if 'MAX_IMAGE_PIXELS' in error.err:
            limit = os.environ[LIMIT_VARIABLE]
            reason = f'{name} has more than {limit} pixels: scale it down, or set {LIMIT_VARIABLE}.'
        raise ImageError(reason) from error
    if image is None:
        return _decode_with_pillow(data, name)
    return _from_array(image)


def _jpeg_is_complete(data: bytes) -> bool:
    """Whether the end marker follows the image's data.

    OpenCV may fill the rest of a cut-off JPEG with grey. Segments are skipped
    by their length up to the first scan, so that a thumbnail's end marker does
    not count. Where the marker is missing, Pillow says whether all data is there.
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
        from PIL import Image

        Image.open(io.BytesIO(data)).load()
    except Exception:
        return False
    return True


def _decode_with_pillow(data: bytes, name: str) -> np.ndarray:
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError:
        raise ImageError(
            f'{name}: OpenCV cannot decode it, or it is damaged: for more formats, pip install '
            'pillow.'
        ) from None
    try:
        image = Image.open(io.BytesIO(data))
        if image.format in OPENCV_FORMATS:
            raise ImageError(f'{name}: the {image.format} file is damaged or cut off.')
        return _from_pillow(image, name)
    except ImageError:
        raise
    except Exception as error:  # Pillow's decoders raise whatever a damaged file leads to
        reason = 'no image format that OpenCV or Pillow knows'
        if not isinstance(error, UnidentifiedImageError):
            reason = f'damaged or cut off: {error}'
        raise ImageError(f'{name}: cannot be read as an image ({reason}).') from error


def _from_pillow(image: 'Image.Image', name: str) -> np.ndarray:
    from PIL import ImageOps

    image = ImageOps.exif_transpose(image)
    if image.mode == 'F':
        raise ImageError(f'{name}{FLOATING_POINT}')
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


def _from_tensor(tensor: 'Tensor') -> np.ndarray:
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
        tensor = tensor.float().mul(255).round().byte()
    pixels = tensor.numpy()
    if pixels.dtype != np.uint8:
        raise ImageError(f'An image tensor must be uint8 or floating point, not {tensor.dtype}.')
    return _from_array(pixels[::-1].transpose(1, 2, 0))
