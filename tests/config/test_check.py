"""A checked config may lack what checkpoints of detectors bring, or what a test needs not."""

import pytest
from mmengine.config import Config

from lighthead.commands.test_job import set_outputs
from lighthead.config.auto import set_auto
from lighthead.config.check import check_evaluation, take_preprocessing
from lighthead.config.check_pretraining import check_pretraining
from lighthead.config.flags import set_image_folder, set_trained_classes
from lighthead.config.read import RunConfig, read
from lighthead.data.check import check_data
from lighthead.errors import UserError
from lighthead.weights.facts import ImageFacts
from lighthead.weights.sources import META_KEY

FACTS = ImageFacts(color_order='rgb', mean=(1, 2, 3), std=(4, 5, 6))


def demo() -> Config:
    return read('lighthead_shufflev2star_demo').cfg


@pytest.mark.parametrize('settings', [None, {}, dict(rgb_to_bgr=True, pad_size_divisor=32)])
def test_preprocessing_is_taken_whether_or_not_the_config_has_some(settings):
    cfg = demo()
    cfg.model.data_preprocessor = settings
    take_preprocessing(cfg, {META_KEY: FACTS.model_dump()})
    taken = cfg.model.data_preprocessor
    assert (taken.mean, taken.std, taken.bgr_to_rgb) == ([1, 2, 3], [4, 5, 6], True)
    assert 'rgb_to_bgr' not in taken
    assert taken.get('pad_size_divisor') == (settings or {}).get('pad_size_divisor')


def test_a_data_set_needs_annotations():
    cfg = demo()
    cfg.train_dataloader.dataset.ann_file = None
    with pytest.raises(UserError, match='train_dataloader: the data set has no ann_file'):
        check_data(cfg)


def test_a_test_needs_data():
    cfg = demo()
    cfg.test_dataloader = None
    with pytest.raises(UserError, match='no test_dataloader'):
        set_trained_classes(cfg, ['a'], None)


@pytest.mark.parametrize(
    ('key', 'value'),
    [
        ('train_dataloader.dataset.split', None),
        ('test_dataloader.dataset.data_root', None),
        ('val_dataloader', None),
        ('images_per_step', 'x'),
        ('model.backbone', None),
        ('optim_wrapper', None),
    ],
)
def test_what_a_pretraining_needs_is_named(tmp_path, key, value):
    cfg = read('pretrain/shufflev2star').cfg
    *parents, last = key.split('.')
    node = cfg
    for name in parents:
        node = node[name]
    node[last] = value
    with pytest.raises(UserError, match=f'config of a pretraining is refused: {key}='):
        check_pretraining(RunConfig(cfg, tmp_path / 'x.py'), str(tmp_path), False, 'none')


@pytest.mark.parametrize(
    ('key', 'value'),
    [
        ('model.backbone.widen_factor', {}),
        ('model.test_cfg.rpn.max_per_img', 'x'),
        ('train_dataloader', None),
        ('optim_wrapper', None),
    ],
)
def test_what_automatic_settings_go_by_is_named(key, value):
    cfg = demo()
    *parents, last = key.split('.')
    node = cfg
    for name in parents:
        node = node[name]
    node[last] = value
    with pytest.raises(UserError, match=f'^--auto: the config is refused: {key}='):
        set_auto(cfg, True)


def test_the_folder_of_a_pretraining_needs_loaders():
    cfg = read('pretrain/shufflev2star').cfg
    cfg.val_dataloader = None
    with pytest.raises(UserError, match='--data-root: the config has no val_dataloader'):
        set_image_folder(cfg, 'x')


def test_a_test_needs_no_hooks():
    cfg = demo()
    cfg.default_hooks = None
    set_outputs(cfg, None, None)


def test_a_model_without_a_backbone_is_tested_as_it_is(tmp_path):
    """Its class says what it lacks, when it is built."""
    cfg = demo()
    del cfg.model['backbone']
    run = check_evaluation(RunConfig(cfg, tmp_path / 'x.py'), 'x.pth', {}, str(tmp_path), 'none')
    assert 'backbone' not in run.cfg.model
