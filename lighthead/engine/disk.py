"""Disks that are full or cannot be written end a training with an error message."""

import errno
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

from mmengine.runner import Runner

from lighthead.errors import UserError
from lighthead.files import temporary_path

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


def prepare_work_dir(work_dir: str | os.PathLike) -> None:
    """Make the folder where it is missing, and check that files can be written there.

    Raises:
        UserError: if not.
    """
    probe = temporary_path(os.path.join(work_dir, 'probe'))
    try:
        os.makedirs(work_dir, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UserError(
            f'The work dir {work_dir} cannot be written ({error.strerror}): choose another '
            '--work-dir.'
        ) from error


@contextmanager
def disk_errors_reported(runner: Runner) -> Iterator[None]:
    """Turn a write that failed inside the block, of logs and curves too, into an error message.

    Raises:
        UserError: naming the file and the checkpoint to continue from.
    """
    for handler in runner.logger.handlers:
        if isinstance(handler, logging.FileHandler):
            handler.handleError = _raise_again  # type: ignore[method-assign]
    try:
        yield
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        raise UserError(
            f'{error.filename or runner.work_dir} could not be written ({error.strerror}); the '
            f'last checkpoint is {runner.message_hub.get_info("last_ckpt", None)}: make room on '
            'the disk, then --resume.'
        ) from error


def _raise_again(record: logging.LogRecord) -> None:
    """What a log handler does about an exception; logging's own prints a traceback and goes on."""
    raise
