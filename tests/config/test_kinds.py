"""Settings of another kind than their reader expects are refused with their key."""

import pytest
from mmengine.config import Config

from lighthead.config.kinds import check_kinds
from lighthead.config.names import config_folder, config_names
from lighthead.errors import UserError

ODD = [
    ('randomness.seed', 'x'),
    ('randomness.seed', 2.5),
    ('randomness.seed', -1),
    ('randomness.sed', 1),
    ('default_hooks.checkpoint', 5),
    ('log_level', []),
    ('train_dataloader.batch_size', 0),
    ('train_dataloader.num_workers', '2'),
    ('train_dataloader.dataset.data_prefix', 7),
    ('train_dataloader.dataset.pipeline', [None]),
    ('train_dataloader', 'x'),
    ('train_cfg.max_epochs', float('nan')),
    ('model', []),
    ('val_evaluator', 3),
    ('custom_hooks', {}),
    ('work_dir', 10**9),
    ('val_evaluator.ann_file', 1e308),
    ('test_evaluator.ann_file', 10**18),
    ('model.backbone.norm_cfg.requires_grad', 5),
    ('model.backbone.init_cfg', 'x'),
    ('model.rpn_head.loss_cls', 'x'),
    ('model.data_preprocessor.mean', 3),
    ('train_dataloader.dataset.metainfo', dict(classes=3)),
    ('train_dataloader.dataset.dataset', dict(type='CocoDataset', ann_file=3)),
    ('train_dataloader.dataset.pipeline', [dict(type=3)]),
    ('train_dataloader.dataset.type', '.CocoDetDataset'),
    ('param_scheduler', [3]),
    ('auto_scale_lr.base_batch_size', [4]),
    ('visualizer._scope_', '\ud800'),
    ('custom_hooks', [dict(type='x', names=['fine', '\ud800'])]),
    ('optim_wrapper', {'\ud800': 1}),
    ('param_scheduler', dict(end='x')),
    ('param_scheduler', [dict(milestones=[10**400])]),
]


@pytest.mark.parametrize('name', config_names())
def test_every_config_passes(name):
    check_kinds(Config.fromfile(config_folder() / f'{name}.py'))


@pytest.mark.parametrize(('key', 'value'), ODD)
def test_another_kind_is_named(key, value):
    cfg = Config.fromfile(config_folder() / 'lighthead_shufflev2star_demo.py')
    *parents, last = key.split('.')
    node = cfg
    for name in parents:
        node = node.setdefault(name, {})
    node[last] = value
    with pytest.raises(UserError, match=f'The config is refused: {key}'):
        check_kinds(cfg)


def test_the_kinds_that_would_do_are_no_part_of_the_key():
    cfg = Config.fromfile(config_folder() / 'lighthead_shufflev2star_demo.py')
    cfg.param_scheduler = 3
    with pytest.raises(UserError, match='The config is refused: param_scheduler=3:'):
        check_kinds(cfg)


def test_what_is_missing_is_named():
    cfg = Config.fromfile(config_folder() / 'lighthead_shufflev2star_demo.py')
    del cfg.model['type']
    with pytest.raises(UserError, match=r'The config is refused: model\.type is missing\.'):
        check_kinds(cfg)
