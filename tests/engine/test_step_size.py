"""Learning rates follow the images per step, and schedules count steps."""

from pathlib import Path

import pytest
import torch
from mmdet.registry import HOOKS
from mmengine.config import Config
from mmengine.hooks import Hook

from lighthead.engine.optimizer_steps import choose_steps, in_steps
from lighthead.engine.runner import LightHeadRunner
from lighthead.errors import UserError

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'


@HOOKS.register_module(force=True)
class StepRates(Hook):
    """Notes the rate of every optimizer step."""

    rates: list[float] = []

    def before_train_iter(self, runner, batch_idx, data_batch=None) -> None:
        if runner.iter % runner.step_size.accumulated == 0:
            self.rates.append(runner.optim_wrapper.get_lr()['lr'][0])


def step_rates(toy, work_dir: Path, **changes) -> list[float]:
    """42 images in batches of 4: 11 iterations per epoch."""
    StepRates.rates = []
    cfg = toy.make_cfg(work_dir=work_dir, accumulate=changes.pop('accumulate', 1))
    cfg.custom_hooks.append(dict(type='StepRates'))
    cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    cfg.default_hooks.checkpoint = dict(type='SafeCheckpointHook', interval=0)
    cfg.merge_from_dict(changes)
    LightHeadRunner.from_cfg(cfg).train()
    return StepRates.rates


@pytest.mark.parametrize(
    ('batch_size', 'accumulate', 'rate'),
    [(4, 1, 0.0125), (8, 1, 0.025), (4, 2, 0.025), (2, 8, 0.05), (16, 1, 0.05)],
)
def test_rates_are_scaled_to_all_images_of_a_step(toy, tmp_path, batch_size, accumulate, rate):
    scaled = step_rates(
        toy,
        tmp_path,
        accumulate=accumulate,
        param_scheduler=[],
        auto_scale_lr=dict(enable=True, base_batch_size=16),
        **{'train_dataloader.batch_size': batch_size},
    )
    assert scaled == pytest.approx([rate] * len(scaled))


def test_scaling_without_a_base(toy, tmp_path: Path) -> None:
    with pytest.raises(UserError, match='base_batch_size'):
        step_rates(toy, tmp_path, auto_scale_lr=dict(enable=True))


def test_a_warm_up_counts_steps(toy, tmp_path: Path) -> None:
    schedule = [dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=5)]
    every = step_rates(toy, tmp_path / '1', param_scheduler=schedule)
    third = step_rates(toy, tmp_path / '3', accumulate=3, param_scheduler=schedule)
    assert (len(every), len(third)) == (33, 11)
    assert third == pytest.approx(every[:11])


def test_a_cosine_over_all_epochs_ends_with_the_last_step(toy, tmp_path: Path) -> None:
    cosine = dict(type='CosineAnnealingLR', by_epoch=True, T_max=3, convert_to_iter_based=True)
    rates = step_rates(toy, tmp_path, accumulate=3, param_scheduler=[cosine])
    assert len(rates) == 11
    ends = 12  # three epochs of 11 / 3 steps, each rounded up
    expected = [0.025 * (1 + torch.cos(torch.tensor(torch.pi * step / ends))) for step in range(11)]
    assert rates == pytest.approx([float(rate) for rate in expected], rel=1e-4)


@pytest.mark.parametrize(('accumulate', 'validated'), [(1, [2, 3]), (2, [4, 6])])
def test_training_and_validation_by_steps(toy, tmp_path: Path, accumulate, validated) -> None:
    """30 steps, a validation about every 20: epochs have 11 iterations."""

    @HOOKS.register_module(force=True)
    class NoteValidations(Hook):
        epochs: list[int] = []

        def after_val_epoch(self, runner, metrics=None) -> None:
            self.epochs.append(runner.epoch)

    cfg = toy.make_cfg(work_dir=tmp_path, accumulate=accumulate)
    cfg.train_cfg = dict(type='OptimizerStepLoop', max_steps=30, val_steps=20)
    cfg.param_scheduler = [dict(type='LinearLR', by_epoch=False, end=100)]
    cfg.custom_hooks.append(dict(type='NoteValidations'))
    runner = LightHeadRunner.from_cfg(cfg)
    runner.train()
    assert runner.iter == 30 * accumulate
    assert NoteValidations.epochs == validated


def test_steps_chosen_by_the_number_of_images(toy, tmp_path: Path) -> None:
    """42 images, 4 per step: 60 x 42 ** 0.5 steps of 8 images would be twice as many of 4."""
    cfg = toy.make_cfg(work_dir=tmp_path)
    cfg.train_cfg = dict(type='OptimizerStepLoop', max_steps='auto', val_steps='auto')
    runner = LightHeadRunner.from_cfg(cfg)
    assert runner.max_iters == choose_steps(42, 4) == 778
    assert runner.train_loop.val_interval == round(778 / 15 / 11)


def test_what_is_derived_from_lengths_is_in_steps() -> None:
    by_iteration = dict(type='LinearLR', by_epoch=False)
    by_epoch = dict(type='MultiStepLR', milestones=[2])
    converted = dict(type='PolyLR', convert_to_iter_based=True)
    derived = in_steps(dict(a=[by_iteration, by_epoch], b=converted), 4, 10, 42)
    assert derived['a'] == [{**by_iteration, 'end': 11}, by_epoch]
    assert derived['b'] == {**converted, 'epoch_length': 3}


@pytest.mark.parametrize(
    ('name', 'base'),
    [
        ('lighthead_shufflev2star.py', 16),
        ('finetune/lighthead_shufflev2star_x0_5.py', 8),
        ('lighthead_shufflev2star_demo.py', 4),
        ('modern/lighthead_modern.py', 8),
    ],
)
def test_recipes_scale_their_own_rates(name: str, base: int) -> None:
    cfg = Config.fromfile(CONFIGS / name)
    assert cfg.auto_scale_lr == dict(enable=True, base_batch_size=base)
    assert cfg.default_hooks.param_scheduler.type == 'OptimizerStepSchedulerHook'
    if base != 16:  # the main recipe is for eight processes of two images
        assert cfg.train_dataloader.batch_size == base
