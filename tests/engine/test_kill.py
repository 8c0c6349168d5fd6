"""A real training process is killed with SIGKILL, again and again, and resumed.

The end must be the one of a process that nobody killed, bit for bit.
"""

import json
import os
import queue
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from lighthead.checkpoint.checkpoint_files import find_latest_checkpoint, load_checkpoint_file
from lighthead.errors import UserError

pytestmark = pytest.mark.slow

PATIENCE = 400  # seconds until a process must have done something


class Trainer:
    """Starts training processes, one after the other, and kills them."""

    def __init__(self, script: Path, log: Path) -> None:
        self.log = log
        self.server = subprocess.Popen(
            [sys.executable, str(script), '--serve'],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, 'TOY_LOG': str(log)},
        )
        self.answers: queue.Queue[int] = queue.Queue()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        for line in self.server.stdout:
            self.answers.put(int(line))

    def start(self, work_dir: Path, *options: object) -> None:
        """Start a process that trains in ``work_dir``."""
        self.server.stdin.write(json.dumps([str(work_dir), *map(str, options)]) + '\n')
        self.server.stdin.flush()
        self.pid = self.answers.get(timeout=PATIENCE)

    def wait_for(self, condition: Callable[[], bool]) -> None:
        """Wait until the process did something, or ended."""
        deadline = time.time() + PATIENCE
        while not condition() and self.answers.empty():
            assert time.time() < deadline, 'the process did not get there'
            time.sleep(0.005)

    def kill(self) -> None:
        """SIGKILL, which no process can catch."""
        os.kill(self.pid, signal.SIGKILL)
        assert self.answers.get(timeout=PATIENCE) == -signal.SIGKILL, self.log.read_text()

    def exit_code(self) -> int:
        """Wait for the process's own end."""
        return self.answers.get(timeout=PATIENCE)

    def run(self, work_dir: Path, *options: object) -> None:
        """A process that nobody kills."""
        self.start(work_dir, *options)
        assert self.exit_code() == 0, self.log.read_text()


@pytest.fixture(scope='module')
def trainer(toy_script: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trainer]:
    trainer = Trainer(toy_script, tmp_path_factory.mktemp('log') / 'log')
    yield trainer
    trainer.server.stdin.close()
    trainer.server.wait(timeout=PATIENCE)


@pytest.fixture(scope='module')
def whole(trainer: Trainer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a training that ran through."""
    folder = tmp_path_factory.mktemp('whole')
    trainer.run(folder)
    return folder


def assert_same_end(whole: Path, parts: Path) -> None:
    a, b = (load_checkpoint_file(folder / 'epoch_3.pth') for folder in (whole, parts))
    for key in ('state_dict', 'ema_state_dict'):
        assert a[key].keys() == b[key].keys()
        assert all(torch.equal(a[key][name], b[key][name]) for name in a[key]), key
    assert a['train_state']['best'] == b['train_state']['best']
    assert {p.name for p in whole.glob('*.pth')} == {p.name for p in parts.glob('*.pth')}
    assert not list(parts.glob('.*.tmp'))


@pytest.mark.parametrize('workers', [0, 2])
def test_killed_in_the_middle_of_an_epoch(trainer, whole, tmp_path: Path, workers: int) -> None:
    trainer.start(tmp_path, '--workers', workers, '--delay', 0.02)
    trainer.wait_for((tmp_path / 'iter_15.pth').exists)
    trainer.kill()
    assert find_latest_checkpoint(tmp_path).name == 'iter_15.pth'
    trainer.run(tmp_path, '--workers', workers, '--resume')
    assert_same_end(whole, tmp_path)


@pytest.mark.parametrize('target', ['iter_6.pth', 'epoch_1.pth', 'best', 'last_checkpoint'])
def test_killed_in_the_middle_of_a_save(trainer, whole, tmp_path: Path, target: str) -> None:
    marker = tmp_path / 'saving'
    trainer.start(tmp_path, '--slow-save', 0.5)
    trainer.wait_for(lambda: marker.exists() and target in marker.read_text())
    trainer.kill()
    assert list(tmp_path.glob('.*.tmp')), 'it was killed between writing and renaming'
    trainer.run(tmp_path, '--resume')
    assert_same_end(whole, tmp_path)


def test_killed_at_random_moments(trainer, tmp_path: Path) -> None:
    """Eight kills, each some random time after the process wrote its first new checkpoint."""
    whole, parts = tmp_path / 'whole', tmp_path / 'parts'
    trainer.run(whole, '--accumulate', 2)
    chance, kills = random.Random(5), 0
    for _ in range(8):
        before = set(parts.glob('*.pth'))
        trainer.start(parts, '--accumulate', 2, '--delay', 0.01, '--slow-save', 0.02, '--resume')
        trainer.wait_for(lambda old=before: not set(parts.glob('*.pth')) <= old)
        time.sleep(0.3 * chance.random())
        if not trainer.answers.empty():
            assert trainer.exit_code() == 0
            break
        trainer.kill()
        kills += 1
    assert kills >= 2
    trainer.run(parts, '--accumulate', 2, '--resume')
    assert_same_end(whole, parts)


@pytest.mark.parametrize(('number', 'code'), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_end_with_their_exit_codes(trainer, whole, tmp_path, number, code) -> None:
    trainer.start(tmp_path, '--workers', 2, '--delay', 0.02)
    trainer.wait_for((tmp_path / 'iter_15.pth').exists)
    os.kill(trainer.pid, number)
    assert trainer.exit_code() == code, trainer.log.read_text()
    log = trainer.log.read_text()
    assert 'Traceback' not in log
    assert f'Stopped by {signal.Signals(number).name}: continue with --resume' in log
    trainer.run(tmp_path, '--workers', 2, '--resume')
    assert_same_end(whole, tmp_path)


def test_two_runs_in_one_work_dir(trainer, toy, tmp_path: Path) -> None:
    trainer.start(tmp_path, '--delay', 0.05)
    trainer.wait_for((tmp_path / 'iter_3.pth').exists)
    with pytest.raises(UserError, match=f'Another training is running .*process {trainer.pid} '):
        toy.train(work_dir=tmp_path, resume=True)
    assert trainer.exit_code() == 0, trainer.log.read_text()


def test_non_finite_loss_ends_with_exit_code_2(trainer, tmp_path: Path) -> None:
    trainer.start(tmp_path, '--nan-at', 8)
    assert trainer.exit_code() == 2
    last_line = trainer.log.read_text().strip().splitlines()[-1]
    assert last_line.startswith('error: The loss is not finite')
    assert find_latest_checkpoint(tmp_path).name == 'iter_6.pth'
