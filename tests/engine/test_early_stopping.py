"""Early stopping ends a training, and counts on when it is resumed."""

from pathlib import Path

import pytest
import torch
from mmdet.registry import HOOKS
from mmengine.hooks import Hook

STOPPING = dict(type='ResumableEarlyStoppingHook', monitor='toy/score', rule='greater', patience=3)


@HOOKS.register_module(force=True)
class FakeScore(Hook):
    """Replaces the score of a validation: epoch 2 is the best one."""

    priority = 'VERY_HIGH'

    def after_val_epoch(self, runner, metrics=None) -> None:
        metrics['toy/score'] = 0.9 if runner.epoch == 2 else 0.1


def build(toy, work_dir: Path, **options):
    cfg = toy.make_cfg(work_dir=work_dir, checkpoint=dict(save_best='toy/score'), **options)
    cfg.custom_hooks += [dict(type='FakeScore'), STOPPING]
    return toy.RUNNERS.build(cfg)


@pytest.mark.parametrize('interrupted_after', [1, 3, 4, 5])
def test_stops_after_three_epochs_without_a_new_best(toy, tmp_path, interrupted_after) -> None:
    first = build(toy, tmp_path, epochs=8)

    class Stop(Hook):
        priority = 'LOWEST'

        def after_val_epoch(self, runner, metrics=None) -> None:
            if runner.epoch == interrupted_after:
                raise EOFError

    first.register_hook(Stop())
    with pytest.raises(EOFError):
        first.train()
    runner = build(toy, tmp_path, epochs=8, resume=True)
    runner.train()
    assert runner.epoch == 5
    best = torch.load(tmp_path / 'best.pth', weights_only=True)
    assert best['meta']['epoch'] == 2
    assert best['meta']['best'] == {'metric': 'toy/score', 'value': 0.9}
