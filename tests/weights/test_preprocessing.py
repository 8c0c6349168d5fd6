"""Preprocessing and activation follow the weights, and a mismatch stops the run."""

import json

import pytest
from mmdet.models import DetDataPreprocessor
from mmengine.config import ConfigDict

from lighthead.errors import UserError
from lighthead.weights import (
    WeightSource,
    adapt_model_cfg,
    check_preprocessor,
    from_scratch,
    resolve_weight_source,
)
from lighthead.weights.sources import IMAGENET_MEAN, IMAGENET_STD, META_KEY, SOURCES

TORCHVISION = 'torchvision://shufflenet_v2_x1_0'
RGB = dict(mean=list(IMAGENET_MEAN), std=list(IMAGENET_STD), bgr_to_rgb=True)
LEAKY = dict(type='LeakyReLU', negative_slope=0.1)


def make_cfg(checkpoint: str | None = TORCHVISION, act_cfg=None, **preprocessor) -> ConfigDict:
    init_cfg = dict(type='Pretrained', checkpoint=checkpoint) if checkpoint else None
    return ConfigDict(
        backbone=dict(type='ShuffleNetV2', act_cfg=act_cfg, init_cfg=init_cfg),
        data_preprocessor=dict(type='DetDataPreprocessor', pad_size_divisor=32, **preprocessor),
    )


def settings(cfg: ConfigDict) -> dict:
    return {k: cfg.data_preprocessor[k] for k in ('mean', 'std', 'bgr_to_rgb')}


@pytest.mark.parametrize('empty', [{}, dict(mean=None, std=None, bgr_to_rgb=None)])
def test_absent_fields_are_taken_from_the_weights(empty):
    cfg = make_cfg(**empty)
    source = adapt_model_cfg(cfg)
    assert settings(cfg) == RGB
    assert cfg.backbone.act_cfg == dict(type='ReLU')
    assert source.name == TORCHVISION
    assert cfg.data_preprocessor.pad_size_divisor == 32
    assert adapt_model_cfg(cfg) == source  # what was filled agrees with itself


def test_without_weights_torchvisions_are_taken():
    cfg = make_cfg(None)
    cfg.data_preprocessor = None
    assert adapt_model_cfg(cfg) is None
    assert settings(cfg) == RGB
    own = make_cfg(None, act_cfg=LEAKY, mean=[0.0] * 3, std=[255.0] * 3, bgr_to_rgb=False)
    adapt_model_cfg(own)
    assert settings(own) == dict(mean=[0.0] * 3, std=[255.0] * 3, bgr_to_rgb=False)
    assert own.backbone.act_cfg == LEAKY


@pytest.mark.parametrize(
    ('changed', 'sentence'),
    [
        (dict(mean=[103.53, 116.28, 123.675]), r'data_preprocessor\.mean is \[103.*\[123'),
        (dict(std=[1.0, 1.0, 1.0]), r'data_preprocessor\.std is \[1\.0.*\[58'),
        (dict(bgr_to_rgb=False), r'data_preprocessor\.bgr_to_rgb is False, .* True: remove'),
        (dict(act_cfg=LEAKY), r'backbone\.act_cfg is .*LeakyReLU.*ReLU.*remove'),
    ],
)
def test_a_different_field_stops_and_names_both_values(changed, sentence):
    with pytest.raises(UserError, match=sentence):
        adapt_model_cfg(make_cfg(**changed))


def test_equal_fields_in_other_words_are_accepted():
    cfg = make_cfg(
        act_cfg=dict(type='ReLU', inplace=True),
        mean=[123.68, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        rgb_to_bgr=True,
    )
    adapt_model_cfg(cfg)
    assert 'bgr_to_rgb' not in cfg.data_preprocessor


def test_backbones_of_other_projects_are_left_alone():
    cfg = dict(backbone=dict(type='ResNet', init_cfg=dict(type='Pretrained', checkpoint='x://y')))
    before = json.dumps(cfg)
    assert adapt_model_cfg(cfg) is None
    assert json.dumps(cfg) == before


def test_from_scratch_removes_weights_and_freezing():
    cfg = make_cfg()
    cfg.backbone.update(frozen_stages=1, norm_eval=True)
    from_scratch(cfg)
    assert adapt_model_cfg(cfg) is None
    backbone = cfg.backbone
    assert (backbone.init_cfg, backbone.frozen_stages, backbone.norm_eval) == (None, -1, False)


@pytest.mark.parametrize(
    'source', [SOURCES['torchvision'], SOURCES['megvii']], ids=lambda source: source.name
)
def test_a_built_preprocessor_is_checked(source):
    check_preprocessor(source, DetDataPreprocessor(**source.to_preprocessor()))
    wrong = source.to_preprocessor() | dict(bgr_to_rgb=source.color_order != 'rgb')
    with pytest.raises(UserError, match=r'model\.data_preprocessor\.bgr_to_rgb'):
        check_preprocessor(source, DetDataPreprocessor(**wrong))
    with pytest.raises(UserError, match=r'model\.data_preprocessor\.mean'):
        check_preprocessor(
            source, DetDataPreprocessor(mean=[1, 2, 3], std=[1, 1, 1], bgr_to_rgb=True)
        )


def test_no_normalisation_is_what_megvii_expects():
    check_preprocessor(SOURCES['megvii'], DetDataPreprocessor())
    with pytest.raises(UserError, match='mean'):
        check_preprocessor(SOURCES['torchvision'], DetDataPreprocessor(bgr_to_rgb=True))


def test_layouts_without_meta(save, build, authors_network):
    plain = resolve_weight_source(save(build(widen_factor=0.5).state_dict()))
    assert plain.to_preprocessor() == RGB
    megvii = resolve_weight_source(save(authors_network(0.5).state_dict()))
    assert megvii.to_preprocessor() == dict(mean=[0.0] * 3, std=[1.0] * 3, bgr_to_rgb=False)
    assert megvii.act_cfg == dict(type='ReLU')


def test_our_pretraining_checkpoints_say_what_they_need(save, build):
    made = WeightSource('x', 'torchvision', 'bgr', (1.0, 2.0, 3.0), (4.0, 5.0, 6.0), LEAKY)
    weights = {f'backbone.{k}': v for k, v in build(widen_factor=0.5).state_dict().items()}
    read = resolve_weight_source(save({'state_dict': weights, 'meta': {META_KEY: made.to_meta()}}))
    assert read.to_preprocessor() == made.to_preprocessor()
    assert read.act_cfg == LEAKY


def test_detectors_of_an_earlier_version_are_refused(save, build):
    weights = {f'backbone.{k}': v for k, v in build(widen_factor=0.5).state_dict().items()}
    with pytest.raises(UserError, match='earlier version'):
        resolve_weight_source(save({'state_dict': weights, 'meta': dict(config_json='{}')}))


@pytest.mark.parametrize(
    'facts', [dict(color_order='rgb'), dict(color_order='hsv', mean=[0] * 3, std=[1] * 3), 'x', 3]
)
def test_a_broken_meta_is_named(facts, save, build):
    checkpoint = save({'state_dict': build().state_dict(), 'meta': {META_KEY: facts}})
    with pytest.raises(UserError, match=r'The description of the images in .*weights\.pth is'):
        resolve_weight_source(checkpoint)


@pytest.mark.requires_shared('weights')
@pytest.mark.parametrize(
    ('name', 'mean', 'std', 'act_cfg'),
    [
        ('x0_5_fastestdet_init', [0.0] * 3, [255.0] * 3, dict(type='ReLU')),
        ('x0_5_fastestdet_coco', [0.0] * 3, [255.0] * 3, dict(type='ReLU')),
        ('x1_nanodet_m_coco_bncal', [103.53, 116.28, 123.675], [57.375, 57.12, 58.395], LEAKY),
    ],
)
def test_shared_files_say_what_they_need(name, mean, std, act_cfg, shared_dir):
    cfg = make_cfg(str(shared_dir / 'weights' / f'shufflenetv2_{name}.pth'))
    adapt_model_cfg(cfg)
    assert settings(cfg) == dict(mean=mean, std=std, bgr_to_rgb=False)
    assert cfg.backbone.act_cfg == act_cfg
