"""Videos and streams through OpenCV: frames in, frames out."""

import math
import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np

from lighthead.errors import UserError
from lighthead.files import printable, put_in_place, temporary_path
from lighthead.inference.images import ImageError
from lighthead.inference.inputs import STDIN, is_stream
from lighthead.inference.read_ahead import windows

CODECS = {'.mp4': 'mp4v', '.avi': 'MJPG'}
"""What every OpenCV wheel can write."""
FALLBACK_FPS = 25.0
NETWORK_TIMEOUT_MS = 10_000
"""How long to wait for a stream to open, and for a frame of it."""
MOST_FAILURES = 100
"""So many frames in a row that cannot be decoded end a video."""


class VideoReader:
    """Frames of a video or a stream, ``uint8`` BGR (H, W, 3), upright as the file says.

    Args:
        path: A file; as a string, also a camera's number, an address (rtsp://, http://), or ``-``
            for standard input.

    Attributes:
        fps: Frames per second, 25 where the file does not say.
        count: Number of frames by the file's header, an estimate in some
            formats; 0 if unknown, as in a stream.
        failed: Frames so far that could not be decoded.

    Raises:
        ImageError: no frame can be read.
    """

    def __init__(self, path: Path | str) -> None:
        self.path, self.failed = path, 0
        if is_stream(path) and not os.path.exists(path):
            self._capture = _open_stream(path)
        else:
            if not os.path.isfile(path):
                raise ImageError(f'{printable(path)}: there is no such video.')
            self._capture = _open_file(path)
        first = self._retrieve() if self._capture.grab() else None
        if first is None:
            self._capture.release()
            raise ImageError(f'{printable(path)}: OpenCV cannot read a frame of this video.')
        self._first = first
        fps = self._capture.get(cv2.CAP_PROP_FPS)
        self.fps = fps if math.isfinite(fps) and 0 < fps <= 1000 else FALLBACK_FPS
        count = self._capture.get(cv2.CAP_PROP_FRAME_COUNT)
        self.count = int(count) if math.isfinite(count) and count > 0 else 0

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the first frame."""
        return self._first.shape[0], self._first.shape[1]

    def frames(self) -> Iterator[np.ndarray]:
        """One frame after the other; can be read once. Those that fail are left out."""
        yield self._first
        in_a_row = 0
        while in_a_row < MOST_FAILURES and self._capture.grab():
            frame = self._retrieve()
            if frame is None:
                in_a_row += 1
                self.failed += 1
            else:
                in_a_row = 0
                yield frame

    def _retrieve(self) -> np.ndarray | None:
        """The frame that was grabbed; OpenCV raises where its header promises too many pixels."""
        try:
            ok, frame = self._capture.retrieve()
        except cv2.error:
            return None
        return frame if ok else None

    def batches(self, batch_size: int) -> Iterator[list[np.ndarray]]:
        """Lists of ``batch_size`` frames, the last one shorter; can be read once."""
        return windows(self.frames(), batch_size)

    def close(self) -> None:
        """Close the file."""
        self._capture.release()

    def __enter__(self) -> 'VideoReader':
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def _open_file(path: str | os.PathLike) -> cv2.VideoCapture:
    try:
        os.fspath(path).encode()
    except UnicodeEncodeError:  # OpenCV takes only names in UTF-8
        descriptor = os.open(path, os.O_RDONLY)
        try:
            return cv2.VideoCapture(f'/proc/self/fd/{descriptor}')
        finally:
            os.close(descriptor)
    return cv2.VideoCapture(os.fspath(path))


def _open_stream(address: str) -> cv2.VideoCapture:
    if address.isdigit():
        return cv2.VideoCapture(int(address))
    if address == STDIN:
        return cv2.VideoCapture('pipe:0', cv2.CAP_FFMPEG)
    timeouts = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, NETWORK_TIMEOUT_MS]
    timeouts += [cv2.CAP_PROP_READ_TIMEOUT_MSEC, NETWORK_TIMEOUT_MS]
    return cv2.VideoCapture(address, cv2.CAP_FFMPEG, timeouts)


class VideoWriter:
    """Writes BGR frames of one size to an ``.mp4`` or ``.avi`` file.

    The file takes its name when it is complete: at the end of the ``with`` block, and on
    Ctrl-C with the frames so far. After an error nothing is left.

    Args:
        path: File to write.
        fps: Frames per second.
        size: (height, width) of the frames.
    """

    def __init__(self, path: str | os.PathLike, fps: float, size: tuple[int, int]) -> None:
        self.path = Path(path)
        suffix = self.path.suffix.lower()
        if suffix not in CODECS:
            raise UserError(f'{printable(path)}: videos are written as {" or ".join(CODECS)}.')
        # OpenCV takes only names in UTF-8.
        self._part = temporary_path(self.path.with_name('video'), suffix)
        self._size, self._count = size, 0
        self._writer = cv2.VideoWriter(
            os.fspath(self._part),
            cv2.VideoWriter.fourcc(*CODECS[suffix]),
            fps,
            (size[1], size[0]),
        )
        if not self._writer.isOpened():
            self._part.unlink(missing_ok=True)
            raise UserError(
                f'{printable(path)}: OpenCV cannot write this video; is the folder writable?'
            )

    def write(self, frame: np.ndarray) -> None:
        """Append a frame; one of another size is resized (a stream may change its size)."""
        if frame.shape[:2] != self._size:
            frame = cv2.resize(frame, (self._size[1], self._size[0]))
        self._writer.write(frame)
        self._count += 1

    def __enter__(self) -> 'VideoWriter':
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._writer.release()
        if kind is None or issubclass(kind, KeyboardInterrupt):
            self._keep()
        else:
            self._part.unlink(missing_ok=True)

    def _keep(self) -> None:
        """Rename the file, unless a full disk cut it off, which OpenCV does not report."""
        capture = cv2.VideoCapture(os.fspath(self._part))
        capture.set(cv2.CAP_PROP_POS_FRAMES, self._count - 1)
        complete, _ = capture.read()
        capture.release()
        if self._count and not complete:
            self._part.unlink(missing_ok=True)
            raise UserError(
                f'{printable(self.path)} could not be written completely: is the disk full?'
            )
        put_in_place(self._part, self.path)
