"""The pretraining command from a folder of images to a detector with its weights.

Killed with SIGKILL on the way and resumed; then judged on held-out images.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import Config

from lighthead.checkpoint.checkpoint_files import find_latest_checkpoint, load_checkpoint_file
from lighthead.weights import adapt_model_cfg

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 600
STEPS = 60
SETTINGS = [
    'images_per_step=64',
    'train_dataloader.batch_size=32',  # two iterations a step
    f'train_cfg.max_steps={STEPS}',
    f'param_scheduler.0.end={STEPS + 1}',
    'train_cfg.val_interval=6',
    'optim_wrapper.optimizer.lr=0.05',
    'default_hooks.checkpoint.iter_interval=7',
    'train_dataloader.dataset.transform.size=64',
    'train_dataloader.dataset.transform.color_jitter=0.1',
    *(
        f'{split}_dataloader.{setting}'
        for split in ('val', 'test')
        for setting in ('dataset.transform.size=64', 'dataset.transform.resize=72')
    ),
    *(
        f'{split}_dataloader.{setting}'
        for split in ('train', 'val', 'test')
        for setting in ('num_workers=0', 'persistent_workers=False')
    ),
]


def start(data: Path, work_dir: Path, *options: str) -> subprocess.Popen:
    return subprocess.Popen(
        [
            sys.executable, 'tools/pretrain.py', 'configs/pretrain/shufflev2star_x0_5.py',
            '--data-root', str(data), '--work-dir', str(work_dir), '--ema', '0.1',
            *options, '--cfg-options', *SETTINGS,
        ],
        cwd=ROOT,
        env={**os.environ, 'OMP_NUM_THREADS': '1'},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip


def finish(process: subprocess.Popen) -> None:
    _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, errors[-4000:]


@pytest.fixture(scope='module')
def data(shapes: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp('data')
    shapes.make(root, 60, 20)
    return root


@pytest.fixture(scope='module')
def work_dir(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was killed in its third epoch, between two optimizer steps, and resumed."""
    folder = tmp_path_factory.mktemp('run')
    process = start(data, folder)
    deadline = time.time() + PATIENCE
    while not (folder / 'iter_35.pth').exists():
        assert process.poll() is None, process.communicate()[1]
        assert time.time() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert find_latest_checkpoint(folder).name == 'iter_35.pth'
    finish(start(data, folder, '--resume'))
    return folder


def test_it_ends_after_the_optimizer_steps_of_the_recipe(work_dir: Path) -> None:
    checkpoint = load_checkpoint_file(find_latest_checkpoint(work_dir))
    assert checkpoint['meta']['iter'] == 2 * STEPS
    assert checkpoint['param_schedulers'][0]['last_step'] == STEPS


def test_top_1_on_held_out_images(data: Path, work_dir: Path, tmp_path: Path) -> None:
    """Chance is one in six."""
    finish(start(data, tmp_path, '--eval-only', str(find_latest_checkpoint(work_dir))))
    figures = json.loads((tmp_path / 'metrics.json').read_text())
    assert figures['imagenet/top1'] >= 80
    assert figures['imagenet/top5'] >= figures['imagenet/top1']


def test_a_detector_starts_from_its_weights(work_dir: Path) -> None:
    """All layers, conv5 included, frozen as in the recipe; the images as in pretraining."""
    path = find_latest_checkpoint(work_dir)
    model_cfg = Config.fromfile(ROOT / 'configs/lighthead_shufflev2star_x0_5.py').model
    model_cfg.backbone.init_cfg.checkpoint = str(path)
    source = adapt_model_cfg(model_cfg)
    assert source.act_cfg == dict(type='ReLU')
    detector = MODELS.build(model_cfg)
    detector.init_weights()
    saved = load_checkpoint_file(path)
    preprocessing = saved['meta']['preprocessing']
    assert model_cfg.data_preprocessor.mean == pytest.approx(preprocessing['mean'])
    assert model_cfg.data_preprocessor.std == pytest.approx(preprocessing['std'])
    assert model_cfg.data_preprocessor.bgr_to_rgb == (preprocessing['color_order'] == 'rgb')
    backbone = detector.backbone
    assert set(backbone.loaded_norms) == set(backbone.norms())
    for name, value in backbone.state_dict().items():
        assert torch.equal(value, saved['state_dict'][f'backbone.{name}']), name
    assert any(name.startswith('conv5.') for name in backbone.state_dict())
