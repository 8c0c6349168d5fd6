"""A real training process is killed with SIGKILL, again and again, and resumed.

The end must be the one of a process that nobody killed, bit for bit.
"""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from lighthead.engine.checkpoint import find_latest_checkpoint, load_checkpoint_file

pytestmark = pytest.mark.slow

PATIENCE = 240  # seconds until a process must have done something


def start(script: Path, work_dir: Path, *options: object) -> subprocess.Popen:
    command = [sys.executable, str(script), str(work_dir), *map(str, options)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen) -> None:
    _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, errors


def kill(process: subprocess.Popen) -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=PATIENCE)


def wait_for(condition, process: subprocess.Popen) -> None:
    deadline = time.time() + PATIENCE
    while not condition():
        assert process.poll() is None, process.communicate()[1]
        assert time.time() < deadline, 'the process did not get there'
        time.sleep(0.005)


def assert_same_end(whole: Path, parts: Path) -> None:
    a, b = (load_checkpoint_file(folder / 'epoch_3.pth') for folder in (whole, parts))
    for key in ('state_dict', 'ema_state_dict'):
        assert a[key].keys() == b[key].keys()
        assert all(torch.equal(a[key][name], b[key][name]) for name in a[key]), key
    assert a['train_state']['best'] == b['train_state']['best']
    assert {p.name for p in whole.glob('*.pth')} == {p.name for p in parts.glob('*.pth')}
    assert not list(parts.glob('.*.tmp'))


@pytest.fixture(scope='module')
def whole(toy_module, tmp_path_factory) -> Path:
    """The folder of a training that ran through."""
    folder = tmp_path_factory.mktemp('whole')
    toy_module.train(work_dir=folder)
    return folder


@pytest.mark.parametrize('workers', [0, 2])
def test_killed_in_the_middle_of_an_epoch(toy_script, tmp_path, whole, workers: int) -> None:
    parts = tmp_path / 'parts'
    process = start(toy_script, parts, '--workers', workers, '--delay', 0.02)
    wait_for((parts / 'iter_15.pth').exists, process)
    kill(process)
    assert find_latest_checkpoint(parts).name == 'iter_15.pth'
    finish(start(toy_script, parts, '--workers', workers, '--resume'))
    assert_same_end(whole, parts)


@pytest.mark.parametrize('target', ['iter_6.pth', 'epoch_1.pth', 'best'])
def test_killed_in_the_middle_of_a_save(toy_script, tmp_path, whole, target: str) -> None:
    parts = tmp_path / 'parts'
    marker = parts / 'saving'
    process = start(toy_script, parts, '--slow-save', 0.5)
    wait_for(lambda: marker.exists() and target in marker.read_text(), process)
    kill(process)
    assert list(parts.glob('.*.tmp')), 'it was killed between writing and renaming'
    finish(start(toy_script, parts, '--resume'))
    assert_same_end(whole, parts)


def test_killed_at_random_moments(toy_module, toy_script, tmp_path: Path) -> None:
    """Four kills, each some random time after the first new checkpoint of the process."""
    whole, parts = tmp_path / 'whole', tmp_path / 'parts'
    toy_module.train(work_dir=whole, accumulate=2)
    chance = random.Random(5)
    for _ in range(4):
        before = find_latest_checkpoint(parts)
        process = start(
            toy_script, parts, '--accumulate', 2, '--delay', 0.01, '--slow-save', 0.02, '--resume'
        )
        wait_for(
            lambda last=before, p=process: (
                p.poll() is not None or find_latest_checkpoint(parts) not in (None, last)
            ),
            process,
        )
        time.sleep(chance.random() * 0.5)
        kill(process)
    finish(start(toy_script, parts, '--accumulate', 2, '--resume'))
    assert_same_end(whole, parts)


def test_non_finite_loss_ends_with_exit_code_2(toy_script, tmp_path: Path) -> None:
    process = start(toy_script, tmp_path, '--nan-at', 8)
    _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 2
    assert errors.strip().splitlines()[-1].startswith('error: The loss is not finite')
    assert find_latest_checkpoint(tmp_path).name == 'iter_6.pth'
