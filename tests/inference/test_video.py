"""Videos: written, read back, damaged."""

from itertools import chain

import numpy as np
import pytest

from lighthead.errors import UserError
from lighthead.inference.images import ImageError
from lighthead.inference.video import VideoReader, VideoWriter


def _frames(count: int) -> list[np.ndarray]:
    """Grey frames that get brighter, with a white bar that moves."""
    frames = []
    for index in range(count):
        frame = np.full((48, 64, 3), 20 + 15 * index, np.uint8)
        frame[:, 4 * index : 4 * index + 8] = 255
        frames.append(frame)
    return frames


@pytest.mark.parametrize('suffix', ['.mp4', '.avi'])
def test_round_trip(suffix, tmp_path):
    path = tmp_path / f'clip{suffix}'
    with VideoWriter(path, 12.5, (48, 64)) as writer:
        for frame in _frames(10):
            writer.write(frame)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    with VideoReader(path) as reader:
        assert reader.fps == pytest.approx(12.5)
        assert reader.count == 10
        assert reader.size == (48, 64)
        batches = list(reader.batches(4))
    assert [len(batch) for batch in batches] == [4, 4, 2]
    for got, wrote in zip(chain.from_iterable(batches), _frames(10), strict=True):
        assert got.shape == wrote.shape
        assert got.dtype == np.uint8
        assert np.abs(got.astype(int) - wrote).mean() < 10


def test_a_header_that_promises_a_billion_pixels(tmp_path):
    path = tmp_path / 'clip.avi'
    with VideoWriter(path, 25, (48, 64)) as writer:
        for frame in _frames(5):
            writer.write(frame)
    content = bytearray(path.read_bytes())
    place = content.find(b'\xff\xc0\x00\x11\x08')
    content[place + 5 : place + 9] = bytes((0x4E, 0x20, 0xFF, 0xDC))  # 20,000 x 65,500
    path.write_bytes(bytes(content))
    with pytest.raises(ImageError, match='cannot read a frame'):
        VideoReader(path)


@pytest.mark.parametrize('batch_size', [1, 3, 5, 7])
def test_every_frame_comes_once(batch_size, tmp_path):
    path = tmp_path / 'clip.avi'
    with VideoWriter(path, 25, (48, 64)) as writer:
        for frame in _frames(5):
            writer.write(frame)
    with VideoReader(path) as reader:
        frames = list(chain.from_iterable(reader.batches(batch_size)))
    levels = [frame[:, -8:].mean() for frame in frames]
    np.testing.assert_allclose(levels, [20 + 15 * index for index in range(5)], atol=4)


def test_a_frame_of_another_size_is_resized(tmp_path):
    with VideoWriter(tmp_path / 'clip.avi', 25, (48, 64)) as writer:
        writer.write(np.zeros((48, 64, 3), np.uint8))
        writer.write(np.full((96, 128, 3), 200, np.uint8))
    with VideoReader(tmp_path / 'clip.avi') as reader:
        frames = next(reader.batches(5))
    assert [frame.shape for frame in frames] == [(48, 64, 3)] * 2
    assert frames[1].mean() == pytest.approx(200, abs=5)


def test_an_error_leaves_no_file(tmp_path):
    def write_half() -> None:
        with VideoWriter(tmp_path / 'clip.mp4', 25, (48, 64)) as writer:
            writer.write(np.zeros((48, 64, 3), np.uint8))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_half()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize('content', [None, b'', b'no video' * 100])
def test_unreadable_videos(content, tmp_path):
    path = tmp_path / 'clip.mp4'
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ImageError, match=r'clip\.mp4'):
        VideoReader(path)


def test_formats_that_are_not_written(tmp_path):
    with pytest.raises(UserError, match=r'\.mp4 or \.avi'):
        VideoWriter(tmp_path / 'clip.mkv', 25, (48, 64))
    with pytest.raises(UserError, match='folder writable'):
        VideoWriter(tmp_path / 'missing' / 'clip.mp4', 25, (48, 64))
