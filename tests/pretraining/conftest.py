"""Image folders and short pretrainings at 32 pixels, inside this process."""

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from lighthead.commands.pretrain_job import pretrain

from ..command_line import parse

ROOT = Path(__file__).resolve().parents[2]
SHAPES = Path(__file__).with_name('coloured_shapes.py')


def load(path: Path) -> ModuleType:
    """A file beside the tests as a module (tests are no packages)."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = sys.modules[path.stem] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope='session')
def shapes() -> ModuleType:
    """``shapes.make(root, train, val)`` writes an image folder; ``shapes.CLASSES``."""
    return load(SHAPES)


@pytest.fixture(scope='session')
def folder(shapes: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six classes with four images to train on and two to validate on."""
    root = tmp_path_factory.mktemp('shapes')
    shapes.make(root, 4, 2)
    return root


@pytest.fixture
def run(folder: Path) -> Callable[..., Path]:
    """``run(work_dir, options=..., **settings)`` pretrains (``__`` stands for a dot)."""

    def short_run(work_dir: Path, options: dict | None = None, **settings) -> Path:
        defaults = {
            'images_per_step': 8,
            'train_cfg.max_steps': 4,
            'param_scheduler.0.end': 5,
            'optim_wrapper.optimizer.lr': 0.1,
            'train_dataloader.batch_size': 4,
            'train_dataloader.dataset.transform.size': 32,
            'default_hooks.checkpoint.iter_interval': 0,
            'log_level': 'WARNING',
            'visualizer.vis_backends': [],
        }
        for name in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
            defaults |= {f'{name}.num_workers': 0, f'{name}.persistent_workers': False}
            if name != 'train_dataloader':
                defaults[f'{name}.dataset.transform'] = dict(size=32, resize=36)
        settings = {name.replace('__', '.'): value for name, value in settings.items()}
        flags = dict(data_root=folder, work_dir=work_dir) | (options or {})
        args = parse('pretrain', ROOT / 'configs/pretrain/shufflev2star_x0_5.py', **flags)
        args.cfg_options = defaults | settings
        return pretrain(args)

    return short_run
