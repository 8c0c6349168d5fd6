"""What a training writes, keeps and deletes; what loads, and what stops a run."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mmdet.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.runner.checkpoint import find_latest_checkpoint as mmengine_latest

from lighthead.checkpoint.checkpoint_files import load_checkpoint_file
from lighthead.engine import checkpointing
from lighthead.engine.checkpoint_hook import SafeCheckpointHook
from lighthead.engine.non_finite import StopOnNonFiniteLoss
from lighthead.errors import UserError


@HOOKS.register_module(force=True)
class WatchFiles(Hook):
    """Notes which checkpoints exist whenever one is about to be written."""

    priority = 'LOWEST'
    seen: list[set[str]] = []

    def before_run(self, runner) -> None:
        type(self).seen = []

    def before_save_checkpoint(self, runner, checkpoint) -> None:
        self.seen.append({path.name for path in Path(runner.work_dir).glob('*.pth')})


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if path.suffix in ('.pth', '.tmp')}


def test_files_kept(toy, tmp_path: Path) -> None:
    cfg = toy.make_cfg(work_dir=tmp_path, epochs=4)
    cfg.custom_hooks.append(dict(type='WatchFiles'))
    toy.RUNNERS.build(cfg).train()
    kept = names(tmp_path)
    assert kept == {'epoch_3.pth', 'epoch_4.pth', 'best.pth'}
    assert Path((tmp_path / 'last_checkpoint').read_text()) == tmp_path / 'epoch_4.pth'
    assert mmengine_latest(str(tmp_path)) == str(tmp_path / 'epoch_4.pth')
    # while epoch 3 was written, both older ones were still there; of the iterations', one
    assert any({'epoch_1.pth', 'epoch_2.pth'} <= seen for seen in WatchFiles.seen)
    assert all(len([n for n in seen if n.startswith('iter_')]) <= 1 for seen in WatchFiles.seen)
    assert any('iter_12.pth' in seen for seen in WatchFiles.seen)


def test_checkpoint_format(toy, tmp_path: Path) -> None:
    toy.train(work_dir=tmp_path, epochs=1)
    checkpoint = torch.load(tmp_path / 'epoch_1.pth', weights_only=True)
    assert set(checkpoint) == {
        'meta', 'state_dict', 'optimizer', 'param_schedulers', 'ema_state_dict', 'train_state',
    }  # fmt: skip
    meta = checkpoint['meta']
    assert meta['dataset_meta'] == {'classes': ['cat', 'dog'], 'category_ids': [1, 2]}
    assert (meta['epoch'], meta['iter'], meta['seed']) == (1, 11, 3)
    assert meta['pretrained'] == {'checkpoint': None, 'loaded_norms': []}
    assert json.loads(meta['config_record'])['model']['type'] == 'ToyModel'
    assert checkpoint['train_state']['pending_val'] is False
    assert checkpoint['train_state']['best']['file'] == 'best.pth'
    assert checkpoint['train_state']['best']['epoch'] == 1
    best = torch.load(tmp_path / 'best.pth', weights_only=True)
    assert set(best) == {'meta', 'state_dict'}
    score = checkpoint['train_state']['best']['score']
    assert best['meta']['best'] == {'metric': 'toy/accuracy', 'value': score}
    assert best['meta']['weights'] == 'averaged'
    # what is deployed is the average, not the raw weights
    average = checkpoint['state_dict']['head.weight']
    assert torch.equal(best['state_dict']['head.weight'], average)
    assert not torch.equal(checkpoint['ema_state_dict']['module.head.weight'], average)


@pytest.mark.parametrize(
    ('options', 'expected'),
    [
        (dict(interval=2, iter_interval=0), {'epoch_2.pth', 'epoch_3.pth'}),
        (dict(interval=0, iter_interval=0), {'epoch_3.pth'}),
        (dict(interval=0, iter_interval=5, save_last=False), {'iter_30.pth'}),
        (dict(interval=1, max_keep_ckpts=1), {'epoch_3.pth'}),
        (dict(max_keep_ckpts=-1), {'epoch_1.pth', 'epoch_2.pth', 'epoch_3.pth'}),
    ],
)
def test_intervals(toy, tmp_path: Path, options: dict, expected: set[str]) -> None:
    toy.train(work_dir=tmp_path, checkpoint={'save_best': None, **options})
    assert names(tmp_path) == expected


@pytest.mark.parametrize('key', ['no/such_key', 'auto'])
def test_save_best_without_its_metric(toy, tmp_path: Path, key: str) -> None:
    toy.train(work_dir=tmp_path, epochs=1, checkpoint=dict(save_best=key))
    best = {name for name in names(tmp_path) if name.startswith('best')}
    assert best == ({'best.pth'} if key == 'auto' else set())


class FakeRunner:
    """As much of a runner as the best checkpoint's bookkeeping asks for."""

    distributed = False
    stop_request = SimpleNamespace()

    def __init__(self, work_dir: Path) -> None:
        self.work_dir = work_dir
        self.epoch, self.iter, self.saved = 0, 0, []
        self.logger = self
        self.message_hub = self

    def info(self, *_) -> None: ...

    def warning(self, *_) -> None: ...

    def update_info(self, key, value) -> None:
        self.noted = value

    def save_checkpoint(self, folder, name, **_) -> None:
        (Path(folder) / name).touch()
        self.saved.append(name)


@pytest.mark.parametrize(('rule', 'best'), [('greater', 4), ('less', 3)])
def test_best_goes_by_rule_and_ignores_undefined(tmp_path: Path, rule: str, best: int) -> None:
    hook, runner = SafeCheckpointHook(save_best='m', rule=rule), FakeRunner(tmp_path)
    hook.before_train(runner)
    for runner.epoch, metrics in enumerate(
        [dict(m=0.5), dict(m=float('nan')), dict(m=0.1), dict(m=0.9), dict(m=0.9), dict()], 1
    ):
        hook.after_val_epoch(runner, metrics)
    assert [path.name for path in tmp_path.iterdir()] == ['best.pth']
    assert runner.noted['epoch'] == best


def test_wrong_rule() -> None:
    with pytest.raises(UserError, match='rule'):
        SafeCheckpointHook(rule='max')


def test_validation_alone_saves_nothing(toy, tmp_path: Path) -> None:
    runner = toy.train(work_dir=tmp_path, epochs=1)
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.glob('*.pth')}
    runner.val()
    assert {path.name: path.stat().st_mtime_ns for path in tmp_path.glob('*.pth')} == before


def test_non_finite_loss_stops_before_anything_is_saved(toy, tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        toy.train(work_dir=tmp_path, nan_at=9)
    message = str(caught.value)
    assert 'iteration 9 (epoch 1, batch 9)' in message
    assert 'loss_cls=nan' in message
    assert str(tmp_path / 'iter_6.pth') in message
    assert names(tmp_path) == {'iter_6.pth'}


def test_non_finite_loss_names_the_images() -> None:
    class Sample:
        metainfo = {'img_path': 'images/7.jpg'}

    runner = type('Runner', (), {'iter': 4, 'epoch': 1})()
    runner.message_hub = type('Hub', (), {'get_info': lambda self, key: None})()
    hook, batch = StopOnNonFiniteLoss(), {'data_samples': [Sample()]}
    hook.after_train_iter(runner, 0, batch, {'loss': torch.tensor(1.0), 'acc': float('nan')})
    with pytest.raises(UserError, match=r'loss_rpn=inf; images: images/7\.jpg; no checkpoint'):
        hook.after_train_iter(runner, 0, batch, {'loss': 1.0, 'loss_rpn': torch.tensor(torch.inf)})


def test_non_finite_weights_are_not_saved(toy, tmp_path: Path) -> None:
    runner = toy.train(work_dir=tmp_path, epochs=1)
    with torch.no_grad():
        runner.model.head.bias[0] = float('inf')
    with pytest.raises(UserError, match=r'\(head\.bias\).* last good checkpoint is .*epoch_1'):
        runner.save_checkpoint(str(tmp_path), 'epoch_2.pth')
    assert not (tmp_path / 'epoch_2.pth').exists()


def test_full_disk_ends_with_an_error_message(toy, tmp_path: Path, monkeypatch) -> None:
    def full(*_: object) -> None:
        raise UserError('epoch_1.pth needs 9 MiB')

    monkeypatch.setattr(checkpointing, 'save_checkpoint_file', full)
    with pytest.raises(UserError, match='needs 9 MiB'):
        toy.train(work_dir=tmp_path, epochs=1)


def test_loader_start_draws_nothing_from_the_global_generator(toy, tmp_path: Path) -> None:
    runner = toy.train(work_dir=tmp_path, epochs=1)
    state = torch.get_rng_state()
    for loader in (runner.train_dataloader, runner.val_dataloader):
        iter(loader)
    assert torch.equal(torch.get_rng_state(), state)


def other_classes(toy, work_dir: Path, checkpoint: Path):
    cfg = toy.make_cfg(work_dir=work_dir, epochs=1)
    cfg.model.num_classes = 3
    cfg.train_dataloader.dataset.classes = ('cat', 'dog', 'cow')
    cfg.load_from = str(checkpoint)
    return toy.RUNNERS.build(cfg)


def test_fine_tuning_keeps_the_new_head(toy, tmp_path: Path) -> None:
    toy.train(work_dir=tmp_path / 'old', epochs=1)
    checkpoint = tmp_path / 'old' / 'epoch_1.pth'
    runner = other_classes(toy, tmp_path / 'new', checkpoint)
    runner.optim_wrapper['optimizer']['lr'] = 0.0
    runner.train()
    weights = load_checkpoint_file(checkpoint)['state_dict']
    assert torch.equal(runner.model.backbone.fc.weight, weights['backbone.fc.weight'])
    assert runner.model.head.weight.shape == (3, 16)


def test_evaluation_with_another_class_count_is_refused(toy, tmp_path: Path) -> None:
    toy.train(work_dir=tmp_path / 'old', epochs=1)
    runner = other_classes(toy, tmp_path / 'new', tmp_path / 'old' / 'epoch_1.pth')
    with pytest.raises(UserError, match=r'head\.weight is \(2, 16\) there and \(3, 16\)'):
        runner.val()


def test_evaluation_loads_the_averaged_weights(toy, tmp_path: Path) -> None:
    toy.train(work_dir=tmp_path, epochs=1)
    cfg = toy.make_cfg(work_dir=tmp_path / 'val')
    cfg.load_from = str(tmp_path / 'epoch_1.pth')
    runner = toy.RUNNERS.build(cfg)
    metrics = runner.val()
    expected = load_checkpoint_file(cfg.load_from)
    assert torch.equal(runner.model.head.weight, expected['state_dict']['head.weight'])
    assert metrics['toy/accuracy'] == expected['train_state']['best']['score']
