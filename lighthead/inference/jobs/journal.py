"""``predictions.jsonl``: one line per image or frame, written as soon as it is done.

The journal is what a run has done: after Ctrl-C, a kill or a full disk it holds every result
that was complete, ``--resume`` continues behind it, and every other format is made from it. Its
lines come in the order of the inputs. A line is an image or a frame::

    {"path": "a.jpg", "width": 640, "height": 480, "boxes": [[x1, y1, x2, y2]], "scores": [0.9],
     "labels": [0], "names": ["cat"], "drawing": "a.jpg"}

A frame has also ``frame`` (from 0) and ``time`` (seconds), a tracked one ``track_ids``. After a
video's frames one line says that it is complete: ``{"path": "clip.mp4", "frames": 250,
"failed_frames": 0}``.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path

from lighthead.errors import UserError
from lighthead.files import printable, write_bytes_file
from lighthead.inference.conversions import to_json


def json_line(record: dict) -> bytes:
    """A record as one line."""
    return (to_json(record) + '\n').encode()


def is_result(record: dict) -> bool:
    """Whether a record is of an image or a frame, not the end of a video."""
    return 'boxes' in record


class Journal:
    """Appends records to a file of JSON lines.

    Every record is on its way to the disk when :meth:`append` returns: it survives the death
    of this process. :meth:`close` also waits for the disk.

    Args:
        path: The file; a new one is begun unless ``resume``.
        resume: Whether to append to the file that is there.

    Raises:
        UserError: it cannot be written, or is a link, through which other files would change.
    """

    def __init__(self, path: Path, resume: bool = False) -> None:
        self.path = path
        try:
            if not resume or not path.exists():
                write_bytes_file(b'', path)
            flags = os.O_WRONLY | os.O_APPEND | getattr(os, 'O_NOFOLLOW', 0)
            self._file: int | None = os.open(path, flags)
            if os.fstat(self._file).st_nlink > 1:
                os.close(self._file)
                raise UserError(f'{printable(path)} is a link to another file: remove it.')
        except OSError as error:
            raise UserError(f'{printable(path)} cannot be written ({error.strerror}).') from error

    def append(self, record: dict) -> None:
        """Write one record, as a whole or not at all.

        Raises:
            UserError: the disk is full, or the like.
        """
        if self._file is None:
            raise ValueError('The journal is closed.')
        line, size = json_line(record), os.fstat(self._file).st_size
        try:
            if os.write(self._file, line) < len(line):
                raise OSError(28, 'no space left on the device')
        except OSError as error:
            os.ftruncate(self._file, size)
            raise UserError(
                f'{printable(self.path)} cannot be written ({error.strerror}): what it holds is '
                'complete; make room and continue with --resume.'
            ) from error

    def close(self) -> None:
        """Wait for the disk and close the file; a second call does nothing."""
        if self._file is not None:
            os.fsync(self._file)
            os.close(self._file)
            self._file = None


def read_journal(path: Path) -> Iterator[dict]:
    """The records of a journal, one after the other.

    Raises:
        UserError: a line is damaged.
    """
    with open(path, 'rb') as file:
        for number, line in enumerate(file, start=1):
            yield _parsed(line, path, number)


def _parsed(line: bytes, path: Path, number: int) -> dict:
    try:
        record = json.loads(line)
    except ValueError:
        record = None
    if not isinstance(record, dict) or not isinstance(record.get('path'), str):
        raise UserError(f'{printable(path)} is damaged in line {number}: start without --resume.')
    return record


def repair_journal(path: Path) -> set[str]:
    """Cut off what an interrupted run left half done, and say what is complete.

    That is an unfinished last line, and the frames of a video without its end, which is done
    again as a whole.

    Returns:
        Paths of the images and videos that are done.
    """
    done: set[str] = set()
    complete = position = 0
    with open(path, 'r+b') as file:
        for number, line in enumerate(file, start=1):
            if not line.endswith(b'\n'):
                break
            record = _parsed(line, path, number)
            position += len(line)
            if 'frame' not in record:
                done.add(record['path'])
                complete = position
        file.truncate(complete)
    return done


class ErrorFile:
    """``errors.jsonl``: a line per input that could not be used; it exists only if there is one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.unlink(missing_ok=True)
        self._journal: Journal | None = None

    def append(self, path: str, message: str) -> None:
        """Write one line."""
        if self._journal is None:
            self._journal = Journal(self.path)
        self._journal.append(dict(path=path, error=message))

    def close(self) -> None:
        """Wait for the disk and close the file, where there is one."""
        if self._journal is not None:
            self._journal.close()
