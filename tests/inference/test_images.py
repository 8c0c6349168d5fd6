"""Every kind of picture that users have, against the pixels that were written."""

import struct
import subprocess
import sys
import zlib

import cv2
import mmcv
import numpy as np
import pytest
import torch
from mmcv.transforms import LoadImageFromFile
from PIL import Image

from lighthead.inference.images import ImageError, read_image

HEIGHT, WIDTH = 40, 56


@pytest.fixture
def rgb() -> np.ndarray:
    """A smooth picture whose corners and channels differ."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    return np.stack([x * 4, y * 6, 200 - x * 2], axis=2).astype(np.uint8)


def _grey(rgb: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(rgb).convert('L'))


def _grey_as_bgr(rgb: np.ndarray) -> np.ndarray:
    return np.repeat(_grey(rgb)[..., None], 3, axis=2)


def _with_alpha(rgb: np.ndarray) -> Image.Image:
    alpha = np.full(rgb.shape[:2], 100, np.uint8)
    return Image.fromarray(np.dstack([rgb, alpha]))


FILES = {
    # name: (maker of the Pillow image, expected BGR from the RGB picture, tolerance)
    'plain.png': (Image.fromarray, lambda rgb: rgb[..., ::-1], 0),
    'plain.jpg': (Image.fromarray, lambda rgb: rgb[..., ::-1], 12),
    'plain.webp': (Image.fromarray, lambda rgb: rgb[..., ::-1], 12),
    'plain.bmp': (Image.fromarray, lambda rgb: rgb[..., ::-1], 0),
    'plain.tif': (Image.fromarray, lambda rgb: rgb[..., ::-1], 0),
    'plain.tga': (Image.fromarray, lambda rgb: rgb[..., ::-1], 0),
    'grey.png': (lambda rgb: Image.fromarray(_grey(rgb)), _grey_as_bgr, 0),
    'grey.jpg': (lambda rgb: Image.fromarray(_grey(rgb)), _grey_as_bgr, 6),
    'grey_alpha.png': (
        lambda rgb: Image.fromarray(np.dstack([_grey(rgb), _grey(rgb) // 2])),
        _grey_as_bgr,
        0,
    ),
    'rgba.png': (_with_alpha, lambda rgb: rgb[..., ::-1], 0),
    'palette.png': (lambda rgb: Image.fromarray(rgb // 64 * 64).quantize(256), None, 0),
    'palette.gif': (lambda rgb: Image.fromarray(rgb // 64 * 64).quantize(256), None, 0),
    'black_white.png': (lambda rgb: Image.fromarray(_grey(rgb) > 99), None, 0),
    'deep_grey.png': (
        lambda rgb: Image.fromarray(_grey(rgb).astype(np.uint16) * 257),
        _grey_as_bgr,
        0,
    ),
    'deep_grey.tif': (
        lambda rgb: Image.fromarray(_grey(rgb).astype(np.uint16) * 257),
        _grey_as_bgr,
        0,
    ),
    'cmyk.jpg': (lambda rgb: Image.fromarray(rgb).convert('CMYK'), lambda rgb: rgb[..., ::-1], 12),
    'cmyk.tif': (lambda rgb: Image.fromarray(rgb).convert('CMYK'), lambda rgb: rgb[..., ::-1], 2),
}


@pytest.mark.parametrize('name', FILES)
def test_file_formats(name, rgb, tmp_path):
    make, expect, tolerance = FILES[name]
    picture = make(rgb)
    picture.save(tmp_path / name, **({'quality': 95} if name.endswith(('jpg', 'webp')) else {}))
    expected = expect(rgb) if expect else np.asarray(picture.convert('RGB'))[..., ::-1]
    for image in (read_image(tmp_path / name), read_image(str(tmp_path / name))):
        assert image.dtype == np.uint8
        assert image.flags['C_CONTIGUOUS']
        assert image.shape == expected.shape
        assert np.abs(image.astype(int) - expected).max() <= tolerance


def test_sixteen_bit_colour_png(rgb, tmp_path):
    cv2.imwrite(str(tmp_path / 'deep.png'), rgb[..., ::-1].astype(np.uint16) * 257)
    np.testing.assert_array_equal(read_image(tmp_path / 'deep.png'), rgb[..., ::-1])


@pytest.mark.parametrize('name', ['plain.jpg', 'plain.png', 'rgba.png', 'grey.jpg', 'cmyk.jpg'])
def test_files_give_the_pixels_of_training(name, rgb, tmp_path):
    FILES[name][0](rgb).save(tmp_path / name)
    trained_on = LoadImageFromFile()(dict(img_path=str(tmp_path / name)))['img']
    np.testing.assert_array_equal(read_image(tmp_path / name), trained_on)


TURNS = {
    # EXIF orientation: what a viewer does to the stored pixels
    1: lambda image: image,
    2: lambda image: image[:, ::-1],
    3: lambda image: image[::-1, ::-1],
    4: lambda image: image[::-1],
    5: lambda image: image.transpose(1, 0, 2),
    6: lambda image: np.rot90(image, -1),
    7: lambda image: image[::-1, ::-1].transpose(1, 0, 2),
    8: lambda image: np.rot90(image),
}


@pytest.mark.parametrize('orientation', TURNS)
@pytest.mark.parametrize('suffix', ['jpg', 'png', 'webp', 'tif'])
def test_exif_orientation(orientation, suffix, rgb, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f'turned.{suffix}'
    options = dict(quality=95) if suffix in ('jpg', 'webp') else {}
    Image.fromarray(rgb).save(path, exif=exif, **options)
    expected = TURNS[orientation](rgb)[..., ::-1].astype(int)
    for image in (read_image(path), read_image(Image.open(path))):
        assert image.shape == expected.shape
        assert np.abs(image - expected).max() <= 12


def _cut(data: bytes) -> bytes:
    return data[: len(data) * 6 // 10]


@pytest.mark.parametrize('kind', ['JPEG', 'PNG', 'WEBP', 'BMP', 'TIFF', 'GIF', 'TGA'])
def test_cut_off_files(kind, tmp_path, capfd):
    noise = np.random.default_rng(0).integers(0, 256, (200, 300, 3), dtype=np.uint8)
    path = tmp_path / 'cut.img'
    Image.fromarray(noise).save(path, kind)
    read_image(path)
    path.write_bytes(_cut(path.read_bytes()))
    with pytest.raises(ImageError, match=r'cut\.img'):
        read_image(path)


def test_cut_off_jpeg_with_a_thumbnail_inside(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (200, 300, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x9286] = b'thumbnail \xff\xd8\xff\xd9 ends here'
    path = tmp_path / 'photo.jpg'
    Image.fromarray(noise).save(path, exif=exif)
    assert b'\xff\xd9 ends' in path.read_bytes()
    read_image(path)
    path.write_bytes(_cut(path.read_bytes()))
    with pytest.raises(ImageError, match='cut off'):
        read_image(path)


def test_jpeg_without_end_marker_but_with_all_its_data(rgb, tmp_path):
    path = tmp_path / 'camera.jpg'
    Image.fromarray(rgb).save(path)
    whole = read_image(path)
    data = path.read_bytes()
    assert data.endswith(b'\xff\xd9')
    path.write_bytes(data[:-2] + b'\0' * 8)
    assert np.abs(read_image(path).astype(int) - whole).max() <= 1


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (b'this is a text', 'notes.jpg: cannot be read as an image'),
        (b'', 'notes.jpg: the file is empty'),
        (b'\xff\xd8\xff', 'notes.jpg: the JPEG file is cut off'),
        (None, 'notes.jpg: cannot be read'),
    ],
)
def test_files_that_are_no_images(content, message, tmp_path):
    path = tmp_path / 'notes.jpg'
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ImageError, match=message):
        read_image(path)


def test_a_folder_is_no_image(tmp_path):
    with pytest.raises(ImageError, match='cannot be read'):
        read_image(tmp_path)


def test_float_tiff_is_refused(tmp_path):
    Image.fromarray(np.linspace(0, 1, 64, dtype=np.float32).reshape(8, 8)).save(tmp_path / 'f.tif')
    with pytest.raises(ImageError, match=r'f\.tif holds floating-point pixels'):
        read_image(tmp_path / 'f.tif')


@pytest.mark.parametrize('channels', [1, 3])
def test_float_pfm_is_refused(channels, tmp_path):
    path = tmp_path / 'f.pfm'
    cv2.imwrite(str(path), np.zeros((8, 8, channels), np.float32))
    with pytest.raises(ImageError, match=r'f\.pfm holds floating-point pixels'):
        read_image(path)


def test_a_header_with_too_many_pixels(tmp_path):
    content = bytearray(cv2.imencode('.png', np.zeros((8, 8, 3), np.uint8))[1].tobytes())
    struct.pack_into('>II', content, 16, 30_000, 20_000)
    struct.pack_into('>I', content, 29, zlib.crc32(bytes(content[12:29])))
    (tmp_path / 'large.png').write_bytes(bytes(content))
    code = f'from lighthead.inference.images import *; read_image({str(tmp_path / "large.png")!r})'
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert 'large.png has more than 268435456 pixels: scale it down' in done.stderr


@pytest.mark.parametrize(
    ('array', 'expected'),
    [
        (np.full((4, 5, 3), (1, 2, 3), np.uint8), (1, 2, 3)),
        (np.full((4, 5, 4), (1, 2, 3, 9), np.uint8), (1, 2, 3)),
        (np.full((4, 5), 7, np.uint8), (7, 7, 7)),
        (np.full((4, 5, 1), 7, np.uint8), (7, 7, 7)),
        (np.full((4, 5, 3), (257, 514, 65535), np.uint16), (1, 2, 255)),
        (np.full((8, 10, 3), (1, 2, 3), np.uint8)[::2, ::2], (1, 2, 3)),
    ],
    ids=['bgr', 'bgra', 'grey', 'grey 1 channel', '16 bit', 'strided'],
)
def test_numpy_arrays_are_bgr(array, expected):
    image = read_image(array)
    assert image.shape == (4, 5, 3)
    assert image.dtype == np.uint8
    assert image.flags['C_CONTIGUOUS']
    assert (image == expected).all()


@pytest.mark.parametrize(
    ('source', 'message'),
    [
        (np.zeros((4, 5, 3), np.float32), 'uint8'),
        (np.zeros((4, 5, 3), bool), 'uint8'),
        (np.zeros((3, 40, 50), np.uint8), r'\(3, 40, 50\)'),
        (np.zeros((2, 4, 5, 3), np.uint8), 'as a list'),
        (np.zeros((0, 5, 3), np.uint8), 'no pixels'),
        (torch.zeros(4, 5, 3), r'\(4, 5, 3\)'),
        (torch.full((3, 4, 5), 2.0), r'0\.\.1'),
        (torch.full((3, 4, 5), torch.nan), r'0\.\.1'),
        (torch.zeros(3, 4, 5, dtype=torch.int64), 'int64'),
        (torch.zeros(2, 3, 4, 5), 'as a list'),
        (torch.zeros(3, 0, 5), 'no pixels'),
        (Image.fromarray(np.zeros((4, 5), np.float32)), 'floating-point'),
        (b'bytes', 'the image: cannot be read as an image'),
        (b'', 'the image: the file is empty'),
        (bytearray(4), 'not bytearray'),
        (None, 'not NoneType'),
    ],
)
def test_sources_that_are_refused(source, message):
    with pytest.raises(ImageError, match=message):
        read_image(source)


def test_all_sources_of_a_picture_agree(rgb, tmp_path):
    Image.fromarray(rgb).save(tmp_path / 'picture.png')
    chw = torch.from_numpy(rgb).permute(2, 0, 1)
    sources = [
        tmp_path / 'picture.png',
        (tmp_path / 'picture.png').read_bytes(),
        Image.fromarray(rgb),
        rgb[..., ::-1],
        chw,
        chw / 255,
        (chw.double() / 255),
    ]
    for source in sources:
        np.testing.assert_array_equal(read_image(source), mmcv.rgb2bgr(rgb))


@pytest.mark.parametrize(
    'mode', ['1', 'L', 'LA', 'P', 'PA', 'RGBA', 'CMYK', 'YCbCr', 'HSV', 'I;16']
)
def test_pillow_modes(mode, rgb):
    picture = Image.fromarray(rgb)
    if mode == 'I;16':
        picture = Image.fromarray(_grey(rgb).astype(np.uint16) * 257)
        expected = _grey_as_bgr(rgb)
    else:
        picture = picture.convert('L' if mode == 'LA' else 'RGB').convert(mode)
        expected = np.asarray(picture.convert('RGB'))[..., ::-1]
    np.testing.assert_array_equal(read_image(picture), expected)
