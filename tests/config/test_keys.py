"""Keys that nothing reads are refused with those that are near; keys that are read pass."""

import copy

import pytest

from lighthead.config.keys import check_types
from lighthead.config.names import config_names
from lighthead.config.read import parse_cfg_options, read
from lighthead.errors import UserError

MAIN = 'lighthead_shufflev2star'
PRETRAIN = 'pretrain/shufflev2star'
REFUSED = [
    ('scale=(640,400)', 'nothing reads scale: set --img-scale'),
    ('batch_size=4', r'set train_dataloader\.batch_size'),
    ('max_epochs=2', r'set train_cfg\.max_epochs'),
    ('modle.backbone.widen_factor=0.5', 'did you mean model'),
    ('train_dataloader.bach_size=4', r'train_dataloader has no bach_size: did you mean batch_size'),
    ('model.backbone.widen_facto=0.5', r'model\.backbone has no widen_facto.*widen_factor'),
    ('model.test_cfg.rcnn.scor_thr=0.1', r'model\.test_cfg\.rcnn has no scor_thr.*score_thr'),
    ('optim_wrapper.optimiser.lr=0.1', 'did you mean optimizer'),
    ('optim_wrapper.optimizer.momentun=0.1', 'did you mean momentum'),
    ('train_cfg.max_epoch=1', 'did you mean max_epochs'),
    ('param_scheduler.1.milestone=[1]', 'did you mean milestones'),
    ('train_dataloader.dataset.pipeline.3.probability=1', 'pipeline.3 has no probability'),
    ('default_hooks.checkpoint.intervall=3', 'did you mean interval'),
    ('auto_scale_lr.enabled=True', 'did you mean enable'),
]
ACCEPTED = [
    'model.backbone.widen_factor=0.5',
    'model.backbone.with_cp=True',
    'model.test_cfg.rcnn.score_thr=0.1',
    'model.test_cfg.rcnn.nms.class_agnostic=True',
    'train_dataloader.dataset.indices=8',
    'train_dataloader.dataset.filter_cfg.min_size=32',
    'train_dataloader.pin_memory=True',
    'train_dataloader.dataset.pipeline.2.scale=(640,400)',
    'optim_wrapper.accumulative_counts=4',
    'optim_wrapper.paramwise_cfg.custom_keys.backbone.lr_mult=0.1',
    'optim_wrapper.clip_grad.norm_type=1',
    'default_hooks.checkpoint.max_keep_ckpts=1',
    'default_hooks.sync.type=SyncBuffersHook',
    'randomness.deterministic=True',
    'env_cfg.dist_cfg.timeout=60',
    'param_scheduler.0.end=100',
    'val_evaluator.classwise=True',
    'find_unused_parameters=True',
    'visualizer.vis_backends=[]',
    'custom_hooks=[]',
    'load_from=x.pth',
]


@pytest.mark.parametrize(('option', 'message'), REFUSED)
def test_unknown_keys_are_refused(option, message):
    with pytest.raises(UserError, match=message) as caught:
        read(MAIN, cfg_options=parse_cfg_options([option]))
    assert option.partition('=')[0] in str(caught.value)


@pytest.mark.parametrize('option', ACCEPTED)
def test_known_keys_are_set(option):
    cfg = read(MAIN, cfg_options=parse_cfg_options([option])).cfg
    check_types(cfg)


@pytest.mark.parametrize('name', config_names())
def test_every_config_that_ships_passes(name):
    check_types(read(name).cfg)


@pytest.mark.parametrize(
    ('key', 'value', 'message'),
    [
        (
            'model.type',
            'LightHeadRCN',
            r"model\.type='LightHeadRCN' is not registered",
        ),
        ('model.backbone.type', 'ShuffleNet2', r'model\.backbone\.type.*ShuffleNetV'),
        ('model.neck', dict(type='LargeSeparableConv', in_chanels=3), 'did you mean in_channels'),
        ('train_cfg', dict(type='ResumableEpochLoop', max_epoch=1), 'did you mean max_epochs'),
        ('custom_hooks', [dict(type='EarlyStopingHook')], 'did you mean EarlyStoppingHook'),
        ('optim_wrapper.optimizer', dict(type='SDG', lr=1), 'did you mean .*SGD'),
    ],
)
def test_mistakes_in_a_config_name_their_key(key, value, message):
    cfg = copy.deepcopy(read(MAIN).cfg)
    owner, _, last = key.rpartition('.')
    target = cfg
    for name in filter(None, owner.split('.')):
        target = target[name]
    target[last] = value
    with pytest.raises(UserError, match=message):
        check_types(cfg)


def test_names_of_other_projects_are_left_to_them():
    cfg = copy.deepcopy(read(MAIN).cfg)
    cfg.custom_hooks = [dict(type='theirs.Hook', anything=1)]
    check_types(cfg)


def test_options_of_pretraining():
    options = parse_cfg_options(['images_per_step=64', 'train_cfg.max_steps=3'])
    assert read(PRETRAIN, cfg_options=options).cfg.images_per_step == 64
    with pytest.raises(UserError, match='did you mean images_per_step'):
        read(PRETRAIN, cfg_options={'image_per_step': 64})


@pytest.mark.parametrize('text', ['x =', '1 / 0', "_base_ = 'absent.py'"])
def test_files_that_cannot_be_read(tmp_path, text):
    path = tmp_path / 'mine.py'
    path.write_text(text)
    with pytest.raises(UserError, match=r'mine\.py cannot be read'):
        read(str(path))


def test_a_list_that_does_not_end():
    with pytest.raises(UserError, match='--cfg-options: a value cannot be read'):
        parse_cfg_options(['model.neck.kernel_size=[1,2'])
