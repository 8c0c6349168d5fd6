"""Two processes pretrain and validate; one evaluates what they wrote, with equal figures."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lighthead.checkpoint.checkpoint_files import load_checkpoint_file

from .launching import free_port, torchrun

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
SHAPES = ROOT / 'tests/pretraining/coloured_shapes.py'
SETTINGS = [
    'images_per_step=16',
    'train_dataloader.batch_size=4',  # two processes, so two iterations a step
    'train_cfg.max_steps=5',
    'train_cfg.val_interval=1',
    'param_scheduler.0.end=6',
    'optim_wrapper.optimizer.lr=0.05',
    'train_dataloader.dataset.transform.size=32',
    'visualizer.vis_backends=[]',
    *(
        f'{split}_dataloader.{setting}'
        for split in ('val', 'test')
        for setting in ('dataset.transform.size=32', 'dataset.transform.resize=36', 'batch_size=2')
    ),
    *(
        f'{split}_dataloader.{setting}'
        for split in ('train', 'val', 'test')
        for setting in ('num_workers=0', 'persistent_workers=False')
    ),
]


def pretrain(starter: list[str], data: Path, work_dir: Path, *options: str) -> None:
    done = subprocess.run(
        [
            sys.executable, *starter, str(ROOT / 'tools/pretrain.py'),
            str(ROOT / 'configs/pretrain/shufflev2star_x0_5.py'), '--data-root', str(data),
            '--work-dir', str(work_dir), *options, '--cfg-options', *SETTINGS,
        ],
        cwd=work_dir.parent,
        env={**os.environ, 'OMP_NUM_THREADS': '1', 'CUDA_VISIBLE_DEVICES': ''},
        capture_output=True,
        text=True,
        timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]


@pytest.fixture(scope='module')
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six classes; an uneven number of images to validate on."""
    spec = importlib.util.spec_from_file_location('coloured_shapes', SHAPES)
    shapes = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(shapes)
    root = tmp_path_factory.mktemp('data')
    shapes.make(root, 4, 3)
    (root / 'val/noise/000.jpg').unlink()
    return root


@pytest.mark.parametrize('ema', [(), ('--ema', '0.5')])
def test_validation_equals_the_evaluation_by_one_process(
    ema: tuple[str, ...], data: Path, tmp_path: Path
) -> None:
    """24 images: an epoch has 3 iterations, 5 steps end in the middle of the fourth epoch."""
    two = torchrun('--nproc_per_node=2', f'--master_port={free_port()}')
    pretrain(two, data, tmp_path / 'run', '--launcher', 'pytorch', *ema)
    checkpoint = load_checkpoint_file(tmp_path / 'run/epoch_4.pth')
    assert checkpoint['meta']['iter'] == 10
    best = checkpoint['train_state']['best']
    pretrain([], data, tmp_path / 'evaluation', '--eval-only', str(tmp_path / 'run' / best['file']))
    figures = json.loads((tmp_path / 'evaluation/metrics.json').read_text())
    assert figures['imagenet/top1'] == pytest.approx(best['score'], abs=1e-6)
