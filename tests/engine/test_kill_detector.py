"""The detector's own training command, killed and resumed on the set that ships."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from lighthead.checkpoint.checkpoint_files import load_checkpoint_file

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 300


def start(work_dir: Path, workers: int, *options: str) -> subprocess.Popen:
    """Two epochs of eight batches of two images, a checkpoint every two iterations."""
    loaders = [
        f'{split}_dataloader.{key}={value}'
        for split in ('train', 'val')
        for key, value in (('num_workers', workers), ('persistent_workers', workers > 0))
    ]
    command = [
        sys.executable, 'tools/train.py', 'configs/lighthead_shufflev2star_demo.py',
        '--from-scratch', '--work-dir', str(work_dir), *options, '--cfg-options', *loaders,
        'train_cfg.max_epochs=2', 'train_cfg.val_interval=1',
        'train_dataloader.batch_size=2', 'train_dataloader.dataset.indices=16',
        'val_dataloader.dataset.indices=4', 'default_hooks.checkpoint.iter_interval=2',
        'default_hooks.checkpoint.interval=1',
    ]  # fmt: skip
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, 'OMP_NUM_THREADS': '1'},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen) -> None:
    _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, errors


def test_killed_and_resumed_equals_uninterrupted(tmp_path: Path) -> None:
    """Two workers, killed in the first epoch, then none, killed in the second."""
    whole, parts = tmp_path / 'whole', tmp_path / 'parts'
    finish(start(whole, 0))
    for workers, file, options in ((2, 'iter_4.pth', ()), (0, 'iter_12.pth', ('--resume',))):
        process = start(parts, workers, *options)
        deadline = time.time() + PATIENCE
        while not (parts / file).exists():
            assert process.poll() is None, process.communicate()[1]
            assert time.time() < deadline
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    finish(start(parts, 2, '--resume'))
    a, b = (load_checkpoint_file(folder / 'epoch_2.pth') for folder in (whole, parts))
    assert a['meta']['iter'] == b['meta']['iter'] == 16
    for key in ('state_dict', 'ema_state_dict'):
        different = [name for name in a[key] if not torch.equal(a[key][name], b[key][name])]
        assert not different, key
    assert a['train_state']['best'] == b['train_state']['best']
