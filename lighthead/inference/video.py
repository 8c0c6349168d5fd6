"""Videos through OpenCV: frames in, frames out."""

import math
import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np

from lighthead.errors import UserError
from lighthead.inference.images import ImageError

CODECS = {'.mp4': 'mp4v', '.avi': 'MJPG'}
"""What every OpenCV wheel can write."""
FALLBACK_FPS = 25.0


class VideoReader:
    """Frames of a video, ``uint8`` BGR (H, W, 3), upright as the file says.

    Attributes:
        fps: Frames per second, 25 where the file does not tell.
        count: Number of frames by the file's header, an estimate in some
            formats; 0 if unknown.

    Raises:
        ImageError: no frame can be read.
    """

    def __init__(self, path: str | os.PathLike) -> None:
        self.path = Path(path)
        if not self.path.is_file():
            raise ImageError(f'{path}: there is no such video.')
        self._capture = cv2.VideoCapture(str(path))
        ok, self._first = self._capture.read()
        if not ok:
            self._capture.release()
            raise ImageError(f'{path}: OpenCV cannot read a frame of this video.')
        fps = self._capture.get(cv2.CAP_PROP_FPS)
        self.fps = fps if math.isfinite(fps) and 0 < fps <= 1000 else FALLBACK_FPS
        count = self._capture.get(cv2.CAP_PROP_FRAME_COUNT)
        self.count = int(count) if math.isfinite(count) and count > 0 else 0

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the first frame."""
        return self._first.shape[0], self._first.shape[1]

    def batches(self, batch_size: int) -> Iterator[list[np.ndarray]]:
        """Lists of ``batch_size`` frames, the last one shorter; can be read once."""
        batch = [self._first]
        while True:
            if len(batch) == batch_size:
                yield batch
                batch = []
            ok, frame = self._capture.read()
            if not ok:
                break
            batch.append(frame)
        if batch:
            yield batch

    def close(self) -> None:
        """Close the file."""
        self._capture.release()

    def __enter__(self) -> 'VideoReader':
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


class VideoWriter:
    """Writes BGR frames of one size to an ``.mp4`` or ``.avi`` file.

    The file takes its name when it is complete; after an error nothing is left.

    Args:
        path: File to write.
        fps: Frames per second.
        size: (height, width) of the frames.
    """

    def __init__(self, path: str | os.PathLike, fps: float, size: tuple[int, int]) -> None:
        self.path = Path(path)
        codec = CODECS.get(self.path.suffix.lower())
        if codec is None:
            raise UserError(f'{path}: videos are written as {" or ".join(CODECS)}.')
        self._part = self.path.with_name(f'.{self.path.stem}.part{self.path.suffix}')
        self._size = size
        self._writer = cv2.VideoWriter(
            str(self._part), cv2.VideoWriter.fourcc(*codec), fps, (size[1], size[0])
        )
        if not self._writer.isOpened():
            raise UserError(f'{path}: OpenCV cannot write this video; is the folder writable?')

    def write(self, frame: np.ndarray) -> None:
        """Append a frame; one of another size is resized (a stream may change its size)."""
        if frame.shape[:2] != self._size:
            frame = cv2.resize(frame, (self._size[1], self._size[0]))
        self._writer.write(frame)

    def __enter__(self) -> 'VideoWriter':
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._writer.release()
        if kind is None:
            os.replace(self._part, self.path)
        else:
            self._part.unlink(missing_ok=True)
