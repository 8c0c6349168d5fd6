"""Schedules, averages and the end of training count optimizer steps; resuming is exact."""

import copy
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from mmdet.registry import HOOKS
from mmengine.config import Config
from mmengine.hooks import Hook

from lighthead.checkpoint.checkpoint_files import load_checkpoint_file
from lighthead.config.check_pretraining import set_accumulation
from lighthead.errors import UserError

CONFIGS = Path(__file__).resolve().parents[2] / 'configs/pretrain'
OURS = [dict(type='PreprocessingMetaHook')]
AVERAGE = dict(type='OptimizerStepEMAHook', momentum=0.5)
"""What ``--ema 0.5`` adds; a list of hooks in ``--cfg-options`` takes the flag's place."""


@HOOKS.register_module(force=True)
class StepRecorder(Hook):
    """Notes the rate of every iteration, and when weights and averages changed."""

    rates: list[float] = []
    changes: list[bool] = []
    average_steps = 0

    def before_train(self, runner) -> None:
        type(self).rates, type(self).changes = [], []
        self.last = self._weight(runner)

    def before_train_iter(self, runner, batch_idx, data_batch=None) -> None:
        self.rates.append(runner.optim_wrapper.get_lr()['lr'][0])

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        weight = self._weight(runner)
        self.changes.append(not torch.equal(weight, self.last))
        self.last = weight

    def after_train(self, runner) -> None:
        averages = [h for h in runner.hooks if hasattr(h, 'ema_model')]
        type(self).average_steps = int(averages[0].ema_model.steps) if averages else 0

    def _weight(self, runner) -> torch.Tensor:
        return runner.bare_model.fc.weight.detach().clone()


def test_five_steps_of_three_iterations(run: Callable, tmp_path: Path) -> None:
    """24 images in batches of 4: 6 iterations an epoch, 15 in all, so the third epoch is half."""
    run(
        tmp_path,
        images_per_step=12,
        train_cfg__max_steps=5,
        param_scheduler__0__end=6,
        custom_hooks=[*OURS, AVERAGE, dict(type='StepRecorder')],
    )
    assert StepRecorder.changes == [False, False, True] * 5
    steps = [0.1 * (1 - step / 5) for step in range(5)]
    expected = [rate for rate in steps for _ in range(3)]
    assert StepRecorder.rates == pytest.approx(expected, abs=1e-7)
    assert StepRecorder.average_steps == 5
    checkpoint = load_checkpoint_file(tmp_path / 'epoch_3.pth')
    assert checkpoint['meta']['iter'] == 15
    assert 'ema_state_dict' in checkpoint


def test_resumed_in_the_middle_of_a_step_and_an_epoch(run: Callable, tmp_path: Path) -> None:
    whole = run(tmp_path / 'whole', options=dict(ema=0.5))

    @HOOKS.register_module(force=True)
    class StopAt(Hook):
        priority = 'LOWEST'

        def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
            if runner.iter == 2:
                raise KeyboardInterrupt

    interrupted = dict(
        custom_hooks=[*OURS, AVERAGE, dict(type='StopAt')],
        default_hooks__checkpoint__iter_interval=3,
    )
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / 'parts', **interrupted)
    state = load_checkpoint_file(tmp_path / 'parts/iter_3.pth')['train_state']
    assert state['gradients'], 'it was interrupted between two optimizer steps'
    parts = run(tmp_path / 'parts', options=dict(ema=0.5, resume=True))
    a, b = (load_checkpoint_file(path / 'epoch_2.pth') for path in (whole, parts))
    for key in ('state_dict', 'ema_state_dict'):
        assert all(torch.equal(a[key][name], b[key][name]) for name in a[key]), key
    assert a['meta']['iter'] == b['meta']['iter'] == 8


def test_norms_and_biases_do_not_decay(run: Callable, tmp_path: Path) -> None:
    run(tmp_path, train_cfg__max_steps=1)
    checkpoint = load_checkpoint_file(tmp_path / 'epoch_1.pth')
    groups = checkpoint['optimizer']['param_groups']
    weights = checkpoint['state_dict']
    skipped = ('running_mean', 'running_var', 'num_batches_tracked')
    shapes = [v for name, v in weights.items() if not name.endswith(skipped)]
    assert sum(len(group['params']) for group in groups) == len(shapes)
    decays = {group['weight_decay'] for group in groups}
    assert decays == {0.0, 4e-5}
    plain = sum(value.dim() == 1 for value in shapes)
    assert sum(len(g['params']) for g in groups if g['weight_decay'] == 0) == plain


@pytest.mark.parametrize(
    ('processes', 'batch_size', 'counts'), [(1, 128, 8), (8, 128, 1), (4, 64, 4), (16, 64, 1)]
)
def test_a_step_takes_1024_images(processes: int, batch_size: int, counts: int) -> None:
    cfg = Config.fromfile(CONFIGS / 'shufflev2star.py')
    cfg.train_dataloader.batch_size = batch_size
    set_accumulation(cfg, processes)
    assert cfg.optim_wrapper.accumulative_counts == counts


@pytest.mark.parametrize(('processes', 'batch_size'), [(3, 128), (16, 128)])
def test_another_number_of_images_is_refused(processes: int, batch_size: int) -> None:
    cfg = Config.fromfile(CONFIGS / 'shufflev2star.py')
    before = copy.deepcopy(cfg.to_dict())
    cfg.train_dataloader.batch_size = batch_size
    with pytest.raises(UserError, match='images_per_step=1024 is no multiple'):
        set_accumulation(cfg, processes)
    assert cfg.train_cfg.to_dict() == before['train_cfg']


def test_the_papers_recipe() -> None:
    cfg = Config.fromfile(CONFIGS / 'shufflev2.py')
    assert cfg.images_per_step * cfg.train_cfg.max_steps == 1024 * 300_000
    schedule = cfg.param_scheduler[0]
    assert (schedule.type, schedule.power, schedule.end) == ('PolyLR', 1.0, 300_001)
    optimizer = cfg.optim_wrapper.optimizer
    assert (optimizer.lr, optimizer.weight_decay, optimizer.momentum) == (0.5, 4e-5, 0.9)
    assert cfg.model.label_smoothing == 0.1
    sizes = cfg.val_dataloader.dataset.transform
    assert (sizes.size, sizes.resize) == (224, 256)
