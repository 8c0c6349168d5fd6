"""Odd images and videos."""

import itertools
import random
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from lighthead.data.formats.image_files import image_size
from lighthead.inference.images import read_image
from lighthead.inference.video import VideoReader, VideoWriter

from .harness import quiet
from .mutations import odd_bytes

FORMATS = ('jpg', 'png', 'webp', 'bmp', 'tiff', 'gif', 'ppm', 'jp2', 'avif', 'tga', 'ico', 'hdr')
MODES = ('RGB', 'L', 'P', 'RGBA', 'CMYK', 'I;16', '1', 'LA', 'F')
LARGE = (0, 1, 0x7FFF, 0xFFFF, 30_000, 65_500, 2**31 - 1, 2**32 - 1, 20_000)
FRAMES = 40
"""Frames of a video that are read; its header may promise any number."""


def good_images(folder: Path) -> list[bytes]:
    """The content of small images in every format and mode that Pillow or OpenCV writes."""
    values = np.random.default_rng(0).integers(0, 256, (24, 40, 3), dtype=np.uint8)
    found = [cv2.imencode('.hdr', values.astype(np.float32))[1].tobytes()]
    for suffix, mode in itertools.product(FORMATS, MODES):
        path = folder / f'good.{suffix}'
        try:
            image = Image.fromarray(values)
            image = image.convert('I').convert('I;16') if mode == 'I;16' else image.convert(mode)
            exif = Image.Exif()
            exif[0x0112] = 6
            image.save(path, exif=exif)
        except (OSError, ValueError, KeyError):  # this format does not have this mode
            continue
        found.append(path.read_bytes())
    return found


def other_sizes(rng: random.Random, data: bytes) -> bytes:
    """An image whose header says another size; a PNG's checksum fits again."""
    content = bytearray(data)
    large = rng.choice(LARGE), rng.choice(LARGE)
    start = content.find(b'\xff\xc0')
    if content[:4] == b'\x89PNG':
        struct.pack_into('>II', content, 16, *large)
        struct.pack_into('>I', content, 29, zlib.crc32(bytes(content[12:29])))
    elif start > 0 and rng.random() < 0.7:  # a JPEG's frame
        struct.pack_into('>HH', content, start + 5, *(value & 0xFFFF for value in large))
    else:
        form = rng.choice(['<I', '>I', '<H', '>H'])
        place = rng.randrange(min(60, len(content) - 4))
        mask = 0xFFFFFFFF if form[1] == 'I' else 0xFFFF
        struct.pack_into(form, content, place, large[0] & mask)
    return bytes(content)


def check_pixels(image: np.ndarray) -> None:
    """Fail where it is no image of the detector's kind."""
    assert image.dtype == np.uint8
    assert image.ndim == 3
    assert image.size


class Images:
    """Odd image files, read as the detector and the data formats read them."""

    megabytes = 4096
    """OpenCV takes up to 2^30 pixels, of three bytes each."""

    def __init__(self, folder: Path) -> None:
        self.good, self.path = good_images(folder), folder / 'odd.jpg'
        assert len(self.good) > 30

    def make(self, rng: random.Random) -> None:
        """Write the next odd image."""
        data = rng.choice(self.good)
        if rng.random() < 0.4:
            data = other_sizes(rng, data)
        if rng.random() < 0.7:
            data = odd_bytes(rng, data)
        self.path.write_bytes(data)

    def read(self) -> None:
        """Read its size, then its pixels."""
        with quiet():
            size = image_size(self.path)
            assert size is None or len(size) == 2
            image = read_image(self.path)
        check_pixels(image)


class Videos:
    """Odd videos, frame by frame."""

    megabytes = 4096

    def __init__(self, folder: Path) -> None:
        self.folder, self.good = folder, []
        frames = np.random.default_rng(0).integers(0, 256, (6, 48, 64, 3), dtype=np.uint8)
        for suffix in ('mp4', 'avi'):
            path = folder / f'good.{suffix}'
            with VideoWriter(path, 25.0, (48, 64)) as writer:
                for frame in frames:
                    writer.write(frame)
            self.good.append((suffix, path.read_bytes()))

    def make(self, rng: random.Random) -> None:
        """Write the next odd video."""
        self.kind, data = rng.choice(self.good)
        if rng.random() < 0.3:
            data = other_sizes(rng, data)
        if rng.random() < 0.3:  # the sizes in its headers
            content = bytearray(data)
            for name in (b'tkhd', b'mp4v', b'avih', b'strf', b'stsz', b'stco', b'mdhd'):
                place = content.find(name)
                if place > 0 and rng.random() < 0.3:
                    number = rng.choice(LARGE) & 0xFFFFFFFF
                    struct.pack_into('>I', content, place + 4 + rng.randrange(90), number)
            data = bytes(content)
        else:
            data = odd_bytes(rng, data)
        self.path = self.folder / f'odd.{self.kind}'
        self.path.write_bytes(data)

    def read(self) -> None:
        """Read its first frames."""
        with quiet(), VideoReader(self.path) as reader:
            for frame in itertools.islice(reader.frames(), FRAMES):
                check_pixels(frame)
