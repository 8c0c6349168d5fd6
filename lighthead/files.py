"""Files that appear whole or not at all, and reading that refuses what is no file.

Every writer of the project goes through :func:`replacing`: a temporary file in the same
folder, flushed to the disk and renamed. Whoever looks sees the old file or the new one,
never half of one; a link that has the file's name is replaced, never written through.
"""

import errno
import itertools
import os
import re
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

LONGEST_NAME = 255
"""Bytes that a file's name may have on the usual file systems."""
LARGEST_INPUT = 2**30
"""Bytes of the largest file that is read into memory as a whole."""

_TEMPORARY = re.compile(r'^\..+\.(\d+)\.tmp(\.\w+)?$')
_counter = itertools.count()


def temporary_path(path: str | os.PathLike, suffix: str = '') -> Path:
    """A name next to ``path`` that no other writer uses; :func:`clean_leftovers` knows it.

    ``suffix`` is for libraries that choose the format by it.

    Raises:
        OSError: if ``path`` is ``.`` or ``/``, or a device, pipe or socket, which would be lost.
    """
    path = Path(path)
    if not path.name:
        raise IsADirectoryError(errno.EISDIR, 'Is a directory', str(path))
    if os.path.lexists(path) and not _replaceable(path.lstat().st_mode):
        raise FileExistsError(errno.EEXIST, 'Not a regular file', str(path))
    ending = f'.{next(_counter)}.{os.getpid()}.tmp{suffix}'
    return path.with_name(fitting_name('.' + path.name, ending))


def _replaceable(mode: int) -> bool:
    return stat.S_ISREG(mode) or stat.S_ISLNK(mode) or stat.S_ISDIR(mode)


def fitting_name(stem: str, ending: str) -> str:
    """``stem + ending``, with a stem that is cut where the name would be too long for a file."""
    room = LONGEST_NAME - len(os.fsencode(ending))
    while len(os.fsencode(stem)) > room:
        stem = stem[:-1]
    return stem + ending


@contextmanager
def replacing(path: str | os.PathLike, sync: bool = True) -> Iterator[BinaryIO]:
    """Open a temporary file for writing that takes the name ``path`` when all went well.

    Args:
        path: The file; a link of this name is replaced, what it points to is left alone.
        sync: Whether the content must be on the disk when this returns (survive a power cut).

    Raises:
        OSError: it cannot be written. Nothing is left, and an old file stays as it was.
    """
    path, temporary = Path(path), temporary_path(path)
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, 'O_NOFOLLOW', 0)
    try:
        with os.fdopen(os.open(temporary, flags, 0o666), 'w+b') as file:
            yield file
            file.flush()
            if sync:
                os.fsync(file.fileno())
        put_in_place(temporary, path, sync)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def put_in_place(temporary: Path, path: Path, sync: bool = True) -> None:
    """Rename a complete temporary file."""
    os.replace(temporary, path)
    if sync:
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)  # without it, a power cut may undo the rename
        finally:
            os.close(folder)


def write_text_file(text: str, path: str | os.PathLike) -> None:
    """Write a small text file in UTF-8, all or nothing; lone surrogates become ``\\udcff``."""
    write_bytes_file(text.encode('utf-8', 'backslashreplace'), path)


def write_bytes_file(data: bytes, path: str | os.PathLike, sync: bool = True) -> None:
    """Write a file, all or nothing."""
    with replacing(path, sync) as file:
        file.write(data)


@contextmanager
def temporary_folder(path: str | os.PathLike) -> Iterator[Path]:
    """A new folder next to ``path``, deleted at the end; :func:`clean_leftovers` knows it.

    To write the folder ``path`` itself all or nothing, rename the temporary one to it.
    """
    temporary = temporary_path(path)
    temporary.mkdir()
    try:
        yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def clean_leftovers(folder: str | os.PathLike) -> list[str]:
    """Delete what killed processes left in ``folder``, temporary files and folders; their names."""
    removed = []
    for path in Path(folder).glob('.*.tmp*'):
        match = _TEMPORARY.match(path.name)
        if match and not _is_running(int(match.group(1))):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
            removed.append(path.name)
    return removed


def _is_running(pid: int) -> bool:
    if pid == os.getpid():
        return False  # this process is not writing now: an earlier one had the same number
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def read_regular_file(path: str | os.PathLike) -> bytes:
    """The content of a regular file.

    Raises:
        OSError: it is a folder, a pipe or a device, which could be without end; it is larger
            than :data:`LARGEST_INPUT`; or it cannot be read.
    """
    flags = os.O_RDONLY | getattr(os, 'O_NONBLOCK', 0)  # opening a pipe would wait for a writer
    descriptor = os.open(path, flags)
    info = os.fstat(descriptor)
    if not stat.S_ISREG(info.st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, 'it is no regular file but a folder, pipe or device')
    with os.fdopen(descriptor, 'rb') as file:
        if info.st_size > LARGEST_INPUT:
            raise OSError(errno.EFBIG, f'it is larger than {LARGEST_INPUT // 2**20} MiB')
        return file.read()


def printable(name: str | os.PathLike) -> str:
    """A file name to print: bytes that are no UTF-8 and control characters as escapes."""
    text = os.fsencode(name).decode('utf-8', 'backslashreplace')
    return ''.join(c if c.isprintable() else c.encode('unicode_escape').decode() for c in text)
