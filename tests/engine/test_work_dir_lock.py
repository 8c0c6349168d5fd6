"""Two trainings in one work dir: the second is refused, unless the first one is dead."""

import os
import signal
from pathlib import Path

import pytest

from lighthead.engine.work_dir_lock import work_dir_lock
from lighthead.errors import UserError


def start_holder(work_dir: Path) -> int:
    """A process that holds the lock until it is killed; and a child of it, like a worker."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        with work_dir_lock(work_dir):
            if os.fork() == 0:
                os.execvp('sleep', ['sleep', '20'])
            os.write(writer, b'held')
            signal.pause()
    os.read(reader, 4)
    return pid


def test_a_killed_process_leaves_no_lock(tmp_path: Path) -> None:
    holder = start_holder(tmp_path / 'run')
    try:
        message = rf'running in .*run \(process {holder} on'
        with pytest.raises(UserError, match=message), work_dir_lock(tmp_path / 'run'):
            raise AssertionError('both hold the lock')
        with work_dir_lock(tmp_path / 'another'):
            pass
    finally:
        os.kill(holder, signal.SIGKILL)
        os.waitpid(holder, 0)
    with work_dir_lock(tmp_path / 'run'):
        pass


def test_a_training_is_refused_before_it_changes_anything(toy, tmp_path: Path) -> None:
    holder = start_holder(tmp_path)
    try:
        with pytest.raises(UserError, match='Another training'):
            toy.train(work_dir=tmp_path, epochs=1)
    finally:
        os.kill(holder, signal.SIGKILL)
        os.waitpid(holder, 0)
    assert not list(tmp_path.glob('*.pth'))
