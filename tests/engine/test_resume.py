"""Interrupted and resumed equals uninterrupted, bit for bit."""

from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from mmdet.registry import HOOKS
from mmengine.hooks import Hook

from lighthead.checkpoint.checkpoint_files import find_latest_checkpoint, load_checkpoint_file
from lighthead.engine.step_size import StepSize, check_resumed_step
from lighthead.errors import UserError


class InterruptError(Exception):
    """Stands for whatever ends a process."""


@HOOKS.register_module(force=True)
class InterruptAt(Hook):
    """Interrupts after an iteration, or inside the validation of an epoch."""

    priority = 'LOWEST'

    def __init__(self, iteration: int = -1, val_epoch: int = -1) -> None:
        self.iteration, self.val_epoch = iteration, val_epoch

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        if runner.iter + 1 == self.iteration:
            raise InterruptError

    def after_val_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        if runner.epoch == self.val_epoch and batch_idx == 2:
            raise InterruptError


def interrupted(toy, resume_options: dict | None = None, **options):
    """Train until the interruption, then resume to the end in a new runner."""
    stop = options.pop('stop')
    cfg = toy.make_cfg(**options)
    cfg.custom_hooks.append(dict(type='InterruptAt', **stop))
    torch.set_num_threads(1)
    with pytest.raises(InterruptError):
        toy.RUNNERS.build(cfg).train()
    torch.manual_seed(99)
    torch.rand(7)  # the new process has another random state
    return toy.train(**{**options, 'resume': True, **(resume_options or {})})


def final_state(work_dir: Path) -> dict:
    return load_checkpoint_file(work_dir / 'epoch_3.pth')


def assert_equal(a: object, b: object, path: str = '') -> None:
    if isinstance(a, dict):
        assert a.keys() == b.keys(), path
        for key in a:
            assert_equal(a[key], b[key], f'{path}.{key}')
    elif isinstance(a, (list, tuple)):
        assert len(a) == len(b), path
        for index, pair in enumerate(zip(a, b)):
            assert_equal(*pair, f'{path}[{index}]')
    elif isinstance(a, torch.Tensor):
        assert torch.equal(a, b), path
    else:
        assert a == b, path


def assert_same_end(one: Path, other: Path) -> None:
    """Weights, their average, optimizer, schedules, random state, best score: all the same."""
    a, b = final_state(one), final_state(other)
    for key in ('state_dict', 'ema_state_dict', 'optimizer', 'param_schedulers', 'train_state'):
        assert (key in a) == (key in b)
        if key in a:
            assert_equal(a[key], b[key], key)
    assert a['train_state']['best'] is not None
    assert sorted(p.name for p in one.glob('*.pth')) == sorted(p.name for p in other.glob('*.pth'))


# 42 samples in batches of 4: 11 iterations per epoch; a file every 3 iterations and every epoch
STOPS = [
    pytest.param(dict(iteration=5), id='mid-epoch-1'),
    pytest.param(dict(iteration=16), id='mid-epoch-2'),
    pytest.param(dict(iteration=22), id='last-iteration-of-epoch-2'),
    pytest.param(dict(val_epoch=2), id='inside-validation'),
]


@pytest.mark.parametrize('stop', STOPS)
def test_resume_equals_uninterrupted(toy, tmp_path: Path, stop: dict) -> None:
    toy.train(work_dir=tmp_path / 'whole')
    interrupted(toy, work_dir=tmp_path / 'parts', stop=stop)
    assert_same_end(tmp_path / 'whole', tmp_path / 'parts')


@pytest.mark.parametrize('accumulate', [2, 4])
def test_resume_inside_gradient_accumulation(toy, tmp_path: Path, accumulate: int) -> None:
    toy.train(work_dir=tmp_path / 'whole', accumulate=accumulate)
    interrupted(toy, work_dir=tmp_path / 'parts', accumulate=accumulate, stop=dict(iteration=17))
    assert load_checkpoint_file(tmp_path / 'whole' / 'epoch_3.pth')['meta']['iter'] == 33
    assert_same_end(tmp_path / 'whole', tmp_path / 'parts')


def test_resume_with_workers_equals_without(toy, tmp_path: Path) -> None:
    toy.train(work_dir=tmp_path / 'whole', workers=0)
    interrupted(toy, work_dir=tmp_path / 'parts', workers=2, stop=dict(iteration=17))
    assert_same_end(tmp_path / 'whole', tmp_path / 'parts')


def test_resume_without_ema_and_with_bf16(toy, tmp_path: Path) -> None:
    toy.train(work_dir=tmp_path / 'whole', ema=False, amp=True)
    interrupted(toy, work_dir=tmp_path / 'parts', ema=False, amp=True, stop=dict(iteration=8))
    assert_same_end(tmp_path / 'whole', tmp_path / 'parts')


def test_resume_takes_the_seed_of_the_checkpoint(toy, tmp_path: Path) -> None:
    whole = toy.make_cfg(work_dir=tmp_path / 'whole')
    whole.randomness = dict(seed=11)
    toy.RUNNERS.build(whole).train()
    parts = toy.make_cfg(work_dir=tmp_path / 'parts')
    parts.randomness = dict(seed=11)
    parts.custom_hooks.append(dict(type='InterruptAt', iteration=14))
    with pytest.raises(InterruptError):
        toy.RUNNERS.build(parts).train()
    again = toy.make_cfg(work_dir=tmp_path / 'parts', resume=True)
    again.randomness = dict(seed=None)
    toy.RUNNERS.build(again).train()
    assert_same_end(tmp_path / 'whole', tmp_path / 'parts')


def test_resume_does_not_need_the_pretrained_file(toy, tmp_path: Path) -> None:
    weights = tmp_path / 'pretrained.pth'
    torch.save(toy.ToyBackbone().state_dict(), weights)
    stop = dict(type='InterruptAt', iteration=7)
    cfg = toy.make_cfg(work_dir=tmp_path / 'run', init=str(weights))
    cfg.custom_hooks.append(stop)
    with pytest.raises(InterruptError):
        toy.RUNNERS.build(cfg).train()
    weights.unlink()
    runner = toy.train(work_dir=tmp_path / 'run', init=str(weights), resume=True)
    assert runner.model.backbone.loaded_norms == {'norm'}
    meta = final_state(tmp_path / 'run')['meta']
    assert meta['pretrained'] == {'checkpoint': str(weights), 'loaded_norms': ['norm']}


def test_resume_from_a_path_in_another_folder(toy, tmp_path: Path) -> None:
    toy.train(work_dir=tmp_path / 'whole')
    first = tmp_path / 'first'
    cfg = toy.make_cfg(work_dir=first)
    cfg.custom_hooks.append(dict(type='InterruptAt', iteration=16))
    with pytest.raises(InterruptError):
        toy.RUNNERS.build(cfg).train()
    toy.train(work_dir=tmp_path / 'second', resume=str(first / 'epoch_1.pth'))
    a, b = final_state(tmp_path / 'whole'), final_state(tmp_path / 'second')
    assert_equal(a['state_dict'], b['state_dict'])


def test_resume_passes_over_a_damaged_newest_file(toy, tmp_path: Path) -> None:
    toy.train(work_dir=tmp_path / 'whole')
    parts = tmp_path / 'parts'
    cfg = toy.make_cfg(work_dir=parts)
    cfg.custom_hooks.append(dict(type='InterruptAt', iteration=16))
    with pytest.raises(InterruptError):
        toy.RUNNERS.build(cfg).train()
    newest = find_latest_checkpoint(parts)
    assert newest.name == 'iter_15.pth'
    newest.write_bytes(newest.read_bytes()[:1000])
    assert find_latest_checkpoint(parts).name == 'epoch_1.pth'
    toy.train(work_dir=parts, resume=True)
    assert_equal(final_state(tmp_path / 'whole')['state_dict'], final_state(parts)['state_dict'])


def test_resume_without_a_checkpoint_starts_afresh(toy, tmp_path: Path) -> None:
    runner = toy.train(work_dir=tmp_path, epochs=1, resume=True)
    assert (runner.epoch, runner.iter) == (1, 11)


def test_resume_of_a_finished_training_changes_nothing(toy, tmp_path: Path) -> None:
    toy.train(work_dir=tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.glob('*.pth')}
    toy.train(work_dir=tmp_path, resume=True)
    assert {path.name: path.read_bytes() for path in tmp_path.glob('*.pth')} == before


@pytest.mark.parametrize(
    ('classes', 'message'),
    [(('cat', 'dog', 'cow'), '2 classes .* the data has 3'), (('cat', 'cow'), "class 1 is 'dog'")],
)
def test_resume_with_other_classes_is_refused(toy, tmp_path: Path, classes, message) -> None:
    toy.train(work_dir=tmp_path, epochs=1)
    cfg = toy.make_cfg(work_dir=tmp_path, resume=True)
    cfg.train_dataloader.dataset.classes = classes
    cfg.model.num_classes = len(classes)
    with pytest.raises(UserError, match=message):
        toy.RUNNERS.build(cfg).train()


@pytest.mark.parametrize('stop', [5, 16], ids=['first epoch', 'later epoch'])
def test_resume_inside_an_epoch_with_another_batch_size_is_refused(toy, tmp_path, stop) -> None:
    cfg = toy.make_cfg(work_dir=tmp_path)
    cfg.custom_hooks.append(dict(type='InterruptAt', iteration=stop))
    with pytest.raises(InterruptError):
        toy.RUNNERS.build(cfg).train()
    cfg = toy.make_cfg(work_dir=tmp_path, resume=True)
    cfg.train_dataloader.batch_size = 6
    with pytest.raises(UserError, match=r'trained with 4 images .* would be 6 images per step'):
        toy.RUNNERS.build(cfg).train()


FOUR_BY_TWO = dict(processes=4, batch_size=2, accumulated=1)


@pytest.mark.parametrize(
    ('saved', 'now', 'inside_epoch', 'refused'),
    [
        (FOUR_BY_TWO, StepSize(4, 2), True, False),
        (FOUR_BY_TWO, StepSize(2, 4), True, True),  # as many images and batches, another order
        (FOUR_BY_TWO, StepSize(2, 4), False, False),
        (FOUR_BY_TWO, StepSize(4, 1, 2), False, True),  # counts of iterations would be wrong
        (FOUR_BY_TWO, StepSize(8, 2), False, True),
        (FOUR_BY_TWO, StepSize(4, 4), True, True),
    ],
)
def test_steps_of_a_resumed_run(saved: dict, now: StepSize, inside_epoch, refused) -> None:
    expected = pytest.raises(UserError, match='images per step') if refused else nullcontext()
    with expected:
        check_resumed_step(saved, now, 'x.pth', inside_epoch)


@pytest.mark.parametrize('accumulate', [1, 2])
def test_a_changed_learning_rate_takes_effect(toy, tmp_path: Path, accumulate: int) -> None:
    """A third of the rate from iteration 15 on: every later rate is a third, schedules too."""

    @HOOKS.register_module(force=True)
    class NoteRates(Hook):
        rates: list[float] = []

        def before_train_iter(self, runner, batch_idx, data_batch=None) -> None:
            self.rates.append(runner.optim_wrapper.get_lr()['lr'][0])

    def rates(work_dir: Path, lr: float, stop: int = -1, **options) -> list[float]:
        NoteRates.rates = []
        cfg = toy.make_cfg(work_dir=work_dir, accumulate=accumulate, **options)
        cfg.optim_wrapper.optimizer.lr = lr
        cfg.custom_hooks += [dict(type='NoteRates'), dict(type='InterruptAt', iteration=stop)]
        with pytest.raises(InterruptError) if stop > 0 else nullcontext():
            toy.RUNNERS.build(cfg).train()
        return NoteRates.rates

    whole = rates(tmp_path / 'whole', 0.06)
    rates(tmp_path / 'parts', 0.06, stop=16)
    rest = rates(tmp_path / 'parts', 0.02, resume=True)
    assert rest == pytest.approx([rate / 3 for rate in whole[-len(rest) :]])


def test_resume_with_other_schedules_is_refused(toy, tmp_path: Path) -> None:
    toy.train(work_dir=tmp_path, epochs=1)
    cfg = toy.make_cfg(work_dir=tmp_path, resume=True)
    cfg.param_scheduler = cfg.param_scheduler[:1]
    with pytest.raises(UserError, match='other param_schedulers'):
        toy.RUNNERS.build(cfg).train()


def test_resume_from_weights_alone_is_refused(toy, tmp_path: Path) -> None:
    toy.train(work_dir=tmp_path, epochs=1)
    best = tmp_path / 'best.pth'
    with pytest.raises(UserError, match='holds weights only'):
        toy.train(work_dir=tmp_path, resume=str(best))


def test_skipping_does_not_load(toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cfg = toy.make_cfg(work_dir=tmp_path, epochs=1)
    cfg.custom_hooks.append(dict(type='InterruptAt', iteration=9))
    with pytest.raises(InterruptError):
        toy.RUNNERS.build(cfg).train()
    loaded = []
    original = toy.ToyDataset.__getitem__

    def counting(self, item):
        if isinstance(item, tuple):
            loaded.append(item)
        return original(self, item)

    monkeypatch.setattr(toy.ToyDataset, '__getitem__', counting)
    toy.train(work_dir=tmp_path, epochs=1, resume=True)
    assert len(loaded) == toy.SAMPLES - 9 * toy.BATCH
