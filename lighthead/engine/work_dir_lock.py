"""One training per work dir: a second one would overwrite the checkpoints of the first."""

import errno
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mmengine.dist import broadcast_object_list, is_main_process

from lighthead.errors import UserError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

LOCK_FILE = '.lock'
_HELD_BY_ANOTHER = (errno.EACCES, errno.EAGAIN)


@contextmanager
def work_dir_lock(work_dir: str | os.PathLike) -> Iterator[None]:
    """Hold the lock of ``work_dir`` inside the block; the first process does it for all.

    The lock is the kernel's (a record lock on ``.lock``), so it ends with the
    process, however that ends, and worker processes do not inherit it. Where
    the file system or the platform has no locks, nothing is locked.

    Raises:
        UserError: in every process, if another training holds it.
    """
    held, message = None, None
    if is_main_process() and fcntl is not None:
        try:
            held = _take(Path(work_dir) / LOCK_FILE)
        except UserError as error:
            message = str(error)
    messages = [message]
    broadcast_object_list(messages)
    if messages[0] is not None:
        raise UserError(messages[0])
    try:
        yield
    finally:
        if held is not None:
            os.close(held)  # which releases the lock


def _take(path: Path) -> int | None:
    """A file descriptor that holds the lock, or None where there are no locks."""
    path.parent.mkdir(parents=True, exist_ok=True)
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        holder = os.read(file, 200).decode(errors='replace').strip()
        os.close(file)
        if error.errno in _HELD_BY_ANOTHER:
            raise UserError(
                f'Another training is running in {path.parent} ({holder}): wait until it ends, '
                'stop it, or choose another --work-dir.'
            ) from error
        return None
    os.ftruncate(file, 0)
    os.pwrite(file, f'process {os.getpid()} on {socket.gethostname()}\n'.encode(), 0)
    return file
