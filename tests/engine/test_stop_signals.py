"""Ctrl-C and SIGTERM: the state is saved, the exit code says which, and resuming is exact."""

import os
import signal
from pathlib import Path

import pytest
import torch
from mmdet.registry import HOOKS
from mmengine.hooks import Hook

from lighthead.checkpoint.checkpoint_files import load_checkpoint_file
from lighthead.engine.stop_signals import StopRequest

EXCEPTIONS = {signal.SIGINT: KeyboardInterrupt, signal.SIGTERM: SystemExit}


@HOOKS.register_module(force=True)
class SignalAt(Hook):
    """Sends a signal to this process before an iteration of training or validation ends."""

    priority = 'VERY_HIGH'

    def __init__(self, number: int, iteration: int = -1, val_epoch: int = -1) -> None:
        self.number, self.iteration, self.val_epoch = number, iteration, val_epoch

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        if runner.iter + 1 == self.iteration:
            os.kill(os.getpid(), self.number)

    def after_val_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        if runner.epoch == self.val_epoch and batch_idx == 2:
            os.kill(os.getpid(), self.number)


@pytest.mark.parametrize(
    ('number', 'when', 'saved'),
    [
        (signal.SIGINT, dict(iteration=5), 'iter_5.pth'),
        (signal.SIGTERM, dict(iteration=16), 'iter_16.pth'),
        (signal.SIGTERM, dict(iteration=22), 'epoch_2.pth'),  # the last one of an epoch
        (signal.SIGINT, dict(val_epoch=2), 'epoch_2.pth'),
    ],
)
def test_state_is_saved_and_resumes_exactly(toy, tmp_path: Path, number, when, saved) -> None:
    cfg = toy.make_cfg(work_dir=tmp_path / 'parts')
    cfg.custom_hooks.append(dict(type='SignalAt', number=int(number), **when))
    torch.set_num_threads(1)
    before = signal.getsignal(number)
    with pytest.raises(EXCEPTIONS[number]) as caught:
        toy.RUNNERS.build(cfg).train()
    if number == signal.SIGTERM:
        assert caught.value.code == 143
    assert signal.getsignal(number) is before
    assert (tmp_path / 'parts/last_checkpoint').read_text().endswith(saved)
    toy.train(work_dir=tmp_path / 'parts', resume=True)
    toy.train(work_dir=tmp_path / 'whole')
    a, b = (load_checkpoint_file(tmp_path / run / 'epoch_3.pth') for run in ('whole', 'parts'))
    for key in ('state_dict', 'ema_state_dict'):
        assert all(torch.equal(a[key][name], b[key][name]) for name in a[key]), key


@pytest.mark.parametrize('number', list(EXCEPTIONS))
def test_outside_an_iteration_it_stops_at_once(number: int) -> None:
    with pytest.raises(EXCEPTIONS[number]), StopRequest():
        os.kill(os.getpid(), number)


def test_the_second_signal_stops_at_once(capsys) -> None:
    with StopRequest() as request:
        request.finish_iteration = True
        request.raise_if_requested()
        os.kill(os.getpid(), signal.SIGINT)
        assert request.name == 'SIGINT'
        assert 'Stopping after this iteration' in capsys.readouterr().err
        with pytest.raises(SystemExit):
            os.kill(os.getpid(), signal.SIGTERM)
