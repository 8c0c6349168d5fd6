"""Each flag changes what it says, and only that; options come last."""

import json
from argparse import Namespace
from pathlib import Path

import pytest
from mmdet.registry import MODELS

from lighthead.config.flags import LOADERS, changes_of
from lighthead.config.names import config_names
from lighthead.config.read import parse_cfg_options, read
from lighthead.errors import UserError
from lighthead.zoo.entries import find

from ..data.formats.builders import YOLO_LINE, write_image, write_text

MAIN = 'lighthead_shufflev2star'
DEMO = 'lighthead_shufflev2star_demo'
MULTI_SCALE = 'recipes/lighthead_shufflev2star_multiscale'
PRETRAIN = 'pretrain/shufflev2star'
FINETUNE = 'finetune/lighthead_modern'
ODD_BACKBONE = dict(type='ShuffleNetV2', widen_factor=0.5, norm_cfg=dict(type='BN', eps='x', odd=1))


def changed(name: str, options: list[str] | None = None, **flags):
    return read(name, changes_of(Namespace(**flags)), parse_cfg_options(options)).cfg


def scale_of(cfg, split: str) -> tuple:
    pipeline = cfg[f'{split}_dataloader'].dataset.pipeline
    return next(t.get('scale') or t.get('scales') for t in pipeline if 'Resize' in t.type)


def test_without_flags_a_config_is_as_it_was_written():
    flags = dict(width=None, from_scratch=False, epochs=None, amp=False, img_scale=None)
    assert changed(MAIN, **flags).to_dict() == read(MAIN).cfg.to_dict()


@pytest.mark.parametrize('name', [MAIN, DEMO])
def test_img_scale_reaches_all_pipelines(name):
    cfg = changed(name, img_scale=[640, 400])
    assert {scale_of(cfg, split) for split in ('train', 'val', 'test')} == {(640, 400)}


def test_img_scale_keeps_the_ratios_of_a_multi_scale_training():
    cfg = changed(MULTI_SCALE, img_scale=[667, 400])
    assert scale_of(cfg, 'test') == (667, 400)
    assert scale_of(cfg, 'train') == [(700, side) for side in (300, 350, 400, 450, 500)]


@pytest.mark.parametrize(
    ('name', 'epochs', 'schedule'),
    [
        (MAIN, 10, dict(end=10, milestones=[6, 8])),
        (MAIN, 2, dict(end=2, milestones=[1, 2])),
        (DEMO, 30, dict(end=30, T_max=30)),
    ],
)
def test_the_schedule_follows_the_epochs(name, epochs, schedule):
    cfg, before = changed(name, epochs=epochs), read(name).cfg
    assert cfg.train_cfg.max_epochs == epochs
    assert {key: cfg.param_scheduler[1][key] for key in schedule} == schedule
    assert cfg.param_scheduler[0] == before.param_scheduler[0], 'the warm-up counts iterations'


@pytest.mark.parametrize(
    ('change', 'flag', 'message'),
    [
        (dict(train_cfg=3), dict(epochs=3), 'train_cfg=3: '),
        (dict(train_cfg=None), dict(epochs=3), 'counts no epochs'),
        (dict(train_cfg=dict(max_epochs=None, max_iters=9)), dict(epochs=3), 'counts max_iters'),
        (dict(auto_scale_lr=None), dict(auto_scale_lr=True), 'no auto_scale_lr'),
        (dict(test_dataloader=None, val_dataloader=None), dict(img_scale=[9, 9]), 'no Resize'),
        (dict(model=dict(type='LightHeadRCNN')), dict(width=1.0), 'no model.backbone'),
        (dict(model=dict(type='LightHeadRCNN')), dict(init='x'), 'no model.backbone'),
        (dict(model=dict(type='LightHeadRCNN')), dict(from_scratch=True), 'no model.backbone'),
        (
            dict(model=dict(type='x', backbone=ODD_BACKBONE)),
            dict(width=1.0),
            r'^model\.backbone \(ShuffleNetV2\) cannot be built',
        ),
        (dict(optim_wrapper={}), dict(lr=0.1), 'no optim_wrapper.optimizer'),
        (dict(optim_wrapper=None), dict(amp=True), 'no optim_wrapper'),
        (dict(train_dataloader=None), dict(batch_size=3), 'no train_dataloader'),
        (dict(default_hooks=[]), dict(no_report=True), r'default_hooks=list of 0: '),
    ],
)
def test_a_flag_that_does_not_fit_the_config_is_refused(tmp_path, change, flag, message):
    with pytest.raises(UserError, match=message):
        changed(odd_config(tmp_path, change), **flag)


@pytest.mark.parametrize(
    ('key', 'flag'),
    [
        ('default_hooks', dict(no_report=True)),
        ('custom_hooks', dict(ema=0.1)),
        ('param_scheduler', dict(epochs=3)),
        ('auto_scale_lr', dict(lr=0.1)),
    ],
)
def test_flags_do_without_settings_that_a_config_may_lack(tmp_path, key, flag):
    changed(odd_config(tmp_path, {key: None}), **flag)


def test_the_size_of_the_test_is_the_first_that_is_one(tmp_path):
    cfg = read(DEMO).cfg
    pipeline = cfg.val_dataloader.dataset.pipeline
    pipeline.insert(1, dict(type='Resize', scale_factor=1.0))
    loader = cfg.val_dataloader.to_dict()
    cfg = changed(odd_config(tmp_path, dict(val_dataloader=loader)), img_scale=[640, 400])
    assert cfg.val_dataloader.dataset.pipeline[2].scale == (640, 400)


def odd_config(folder: Path, change: dict) -> str:
    """The path of the demo's config with other values at the top level."""
    content = read(DEMO).cfg.to_dict() | change
    path = folder / 'odd.py'
    path.write_text('\n'.join(f'{key} = {value!r}' for key, value in content.items()))
    return str(path)


def test_epochs_of_a_recipe_that_counts_steps():
    with pytest.raises(UserError, match=r'train_cfg\.max_steps=N'):
        changed(PRETRAIN, epochs=3)


@pytest.mark.parametrize('width', [0.5, 1.5, 2.0])
@pytest.mark.parametrize('name', ['lighthead_shufflev2star', 'lighthead_shufflev2'])
def test_width_gives_the_config_of_that_width(name, width):
    suffix = f'_x{width:.1f}'.replace('.', '_')
    model, expected = changed(name, width=width).model, read(f'{name}{suffix}').cfg.model
    assert model.to_dict() == expected.to_dict()


def test_every_detector_with_a_width_builds_with_another():
    names = [name for name in config_names() if name.startswith(('finetune/', 'recipes/'))]
    assert len(names) >= 3
    for name in names:
        model = changed(name, width=1.5, from_scratch=True).model
        model.data_preprocessor.update(mean=[0, 0, 0], std=[1, 1, 1])
        assert MODELS.build(model).backbone.widen_factor == 1.5


def test_the_rate_is_taken_as_it_is():
    cfg = changed(MAIN, lr=0.004)
    assert cfg.optim_wrapper.optimizer.lr == 0.004
    assert cfg.auto_scale_lr.enable is False
    assert changed(MAIN, lr=0.004, auto_scale_lr=True).auto_scale_lr.enable is True


@pytest.mark.parametrize(('workers', 'persistent'), [(0, False), (3, True)])
def test_workers_of_all_loaders(workers, persistent):
    cfg = changed(MAIN, workers=workers)
    found = {(cfg[n].num_workers, cfg[n].persistent_workers) for n in LOADERS}
    assert found == {(workers, persistent)}


def test_small_flags():
    cfg = changed(MAIN, batch_size=5, seed=7, init='weights.pth', load_from='all.pth')
    assert cfg.train_dataloader.batch_size == 5
    assert cfg.randomness.seed == 7
    assert cfg.model.backbone.init_cfg == dict(type='Pretrained', checkpoint='weights.pth')
    assert cfg.load_from == 'all.pth'


def test_init_takes_all_weights_of_a_detector_of_this_kind():
    assert changed(FINETUNE).load_from == 'lighthead-coco'
    assert changed(FINETUNE, init='lighthead-people').load_from == 'lighthead-people'
    path = str(find('lighthead-people').path)
    assert changed(FINETUNE, init=path).load_from == path
    other = changed(MAIN, init=path)  # another kind of detector: the backbone alone
    assert other.load_from is None
    assert other.model.backbone.init_cfg.checkpoint == path


def test_weights_of_a_backbone_replace_the_detector_that_a_config_starts_from():
    cfg = changed(FINETUNE, init='backbone.pth')
    assert cfg.load_from is None
    assert cfg.model.backbone.init_cfg == dict(type='Pretrained', checkpoint='backbone.pth')
    assert changed(FINETUNE, from_scratch=True).load_from is None


@pytest.mark.parametrize('width', [0.5, 1.5, 2.0])
def test_another_width_starts_from_a_backbone_of_that_width(width):
    suffix = f'_x{width:.1f}'.replace('.', '_')
    given, expected = changed(FINETUNE, width=width), read(f'{FINETUNE}{suffix}').cfg
    assert given.load_from is expected.load_from is None
    assert given.model.to_dict() == expected.model.to_dict()
    assert changed(FINETUNE, width=1.0).load_from == 'lighthead-coco'


def test_ema_adds_a_hook():
    hooks = changed(PRETRAIN, ema=0.5).custom_hooks
    assert hooks == [*read(PRETRAIN).cfg.custom_hooks, hooks[-1]]
    assert hooks[-1] == dict(type='OptimizerStepEMAHook', momentum=0.5)


def test_options_come_after_flags():
    cfg = changed(MAIN, ['train_dataloader.batch_size=3', 'randomness.seed=1'], batch_size=5)
    assert cfg.train_dataloader.batch_size == 3
    assert cfg.randomness.seed == 1


def test_val_fraction_divides_the_train_split(tmp_path, monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    for number in range(10):
        write_image(tmp_path / 'data' / f'{number}.jpg')
        write_text(tmp_path / 'data' / f'{number}.txt', f'0 {YOLO_LINE}')
    write_text(tmp_path / 'data' / 'classes.txt', 'cat')
    cfg = changed(DEMO, data_root=str(tmp_path / 'data'), val_fraction=0.3)
    train, val = (cfg[f'{name}_dataloader'].dataset for name in ('train', 'val'))
    counts = [len(json.loads(Path(d.ann_file).read_text())['images']) for d in (train, val)]
    assert counts == [7, 3]


def test_a_division_needs_data():
    with pytest.raises(UserError, match='--fold needs --data-root'):
        changed(DEMO, fold=(1, 5))
