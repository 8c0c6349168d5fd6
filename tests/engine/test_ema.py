"""Averaged weights: how much of the first ones they keep, what is counted, what is saved."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mmdet.registry import HOOKS
from mmengine.config import Config
from torch import nn

from lighthead.checkpoint.checkpoint_files import load_checkpoint_file
from lighthead.engine.ema import OptimizerStepEMAHook

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
AVERAGING = sorted(
    str(path.relative_to(CONFIGS))
    for path in CONFIGS.glob('**/*.py')
    if '_base_' not in path.parts and 'pretrain' not in path.parts
)


class Run:
    """A model of one weight, 1 after the first optimizer step and 0 later, under a real hook."""

    def __init__(self, hook: OptimizerStepEMAHook, accumulate: int = 1) -> None:
        self.hook, self.accumulate, self.iter, self.epoch = hook, accumulate, 0, 0
        self.model = nn.Linear(1, 1, bias=False)
        self.optim_wrapper = SimpleNamespace(
            should_update=lambda: (self.iter + 1) % self.accumulate == 0
        )
        hook.before_run(self)

    def share_of_first_weights(self, steps: int) -> float:
        """How much of the average the weights after the first step are, after ``steps``."""
        for iteration in range(steps * self.accumulate):
            self.iter = iteration
            nn.init.constant_(self.model.weight, float(iteration < self.accumulate))
            self.hook.after_train_iter(self, self.iter)
        return float(self.hook.ema_model.module.weight)


@pytest.mark.parametrize('accumulate', [1, 4])
def test_first_weights_fade(accumulate: int) -> None:
    assert Run(OptimizerStepEMAHook(), accumulate).share_of_first_weights(1) == 1
    assert Run(OptimizerStepEMAHook(), accumulate).share_of_first_weights(2) == pytest.approx(0.1)
    assert Run(OptimizerStepEMAHook(), accumulate).share_of_first_weights(200) < 1e-2


def test_an_average_without_warm_up_would_fail_that() -> None:
    hook = HOOKS.build(dict(type='EMAHook', momentum=1e-4))
    assert Run(hook).share_of_first_weights(200) > 0.9


@pytest.mark.parametrize('name', AVERAGING)
def test_first_weights_fade_under_every_config(name: str) -> None:
    hooks = [h for h in Config.fromfile(CONFIGS / name).custom_hooks if 'EMA' in h.type]
    assert len(hooks) == 1
    assert Run(HOOKS.build(hooks[0])).share_of_first_weights(200) < 1e-2


def test_late_steps_have_the_configured_momentum() -> None:
    run = Run(OptimizerStepEMAHook(momentum=0.05))
    run.share_of_first_weights(1)
    average = run.hook.ema_model
    average.steps.fill_(100_000)
    nn.init.constant_(run.model.weight, 0.0)
    run.hook.after_train_iter(run, 0)
    assert float(average.module.weight) == pytest.approx(0.95)


def test_checkpoints_hold_both_and_say_which_serves(toy, tmp_path: Path) -> None:
    runner = toy.train(work_dir=tmp_path / 'averaged', epochs=2)
    saved = load_checkpoint_file(tmp_path / 'averaged' / 'epoch_2.pth')
    assert saved['meta']['weights'] == 'averaged'
    for name, raw in runner.model.state_dict().items():
        assert torch.equal(saved['ema_state_dict'][f'module.{name}'], raw), name
        if raw.is_floating_point():  # batch norm's statistics too: it trains here
            assert not torch.equal(saved['state_dict'][name], raw), name
        else:
            assert torch.equal(saved['state_dict'][name], raw), name
    toy.train(work_dir=tmp_path / 'raw', epochs=1, ema=False)
    assert load_checkpoint_file(tmp_path / 'raw' / 'epoch_1.pth')['meta']['weights'] == 'raw'


def test_validation_runs_on_averaged_statistics(toy, tmp_path: Path) -> None:
    """A run of the averaged weights with the raw statistics would give other outputs."""
    runner = toy.train(work_dir=tmp_path, epochs=1)
    hook = next(h for h in runner.hooks if isinstance(h, OptimizerStepEMAHook))
    averaged = {k: v.clone() for k, v in hook.ema_model.module.state_dict().items()}
    raw = {k: v.clone() for k, v in runner.model.state_dict().items()}
    hook.before_val_epoch(runner)
    assert all(torch.equal(v, averaged[k]) for k, v in runner.model.state_dict().items())
    hook.after_val_epoch(runner)
    assert all(torch.equal(v, raw[k]) for k, v in runner.model.state_dict().items())
