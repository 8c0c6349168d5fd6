"""Loading counts, completes, and refuses; norm layers are frozen only where they were trained."""

import copy
import subprocess
import sys

import pytest
import torch
from safetensors.torch import save_file

from lighthead.errors import UserError
from lighthead.models.backbones.shufflenet_v2 import WIDTHS
from lighthead.weights import load_pretrained
from lighthead.weights.compare import compare_weights


@torch.no_grad()
@pytest.mark.parametrize('width', list(WIDTHS))
def test_v2_loads_into_v2star_without_loss(width, save, build, realistic):
    plain = realistic(build(widen_factor=width))
    star = build(widen_factor=width, star=True).eval()
    report = load_pretrained(star, save(plain.state_dict()))
    images = torch.randn(2, 3, 64, 96)
    for actual, expected in zip(star(images), plain(images)):
        torch.testing.assert_close(actual, expected, rtol=0, atol=1e-5)
        assert expected.std() > 0.05
    assert len(report.loaded) == report.total == 280
    assert len(report.identity) == 16 * 5
    assert set(report.loaded_norms) == set(star.norms())


@pytest.mark.parametrize('resumed', [False, True])
def test_training_starts_where_v2_stands(save, build, realistic, resumed):
    """In training too the added norms pass their input on, also after a checkpoint; they learn."""
    plain = realistic(build(widen_factor=0.5)).train()
    star = build(save(plain.state_dict()), widen_factor=0.5, star=True).train()
    if resumed:  # built, then given a checkpoint
        state = star.state_dict()
        star = build(widen_factor=0.5, star=True)
        star.load_state_dict(state)
        star.train()
    images = torch.randn(4, 3, 64, 96)
    outputs = star(images)
    for actual, expected in zip(outputs, plain(images), strict=True):
        torch.testing.assert_close(actual, expected, rtol=0, atol=1e-5)
    added = star.stage3[2].star.bn
    before = added.running_mean.clone(), added.running_var.clone()
    outputs[-1].square().mean().backward()
    assert added.weight.grad.any()
    assert added.bias.grad.any()
    assert torch.equal(added.running_mean, before[0])
    assert torch.equal(added.running_var, before[1])
    assert star.stage3[2].branch2[1].training, 'the other norms train'


def test_norms_of_a_random_start_train(build):
    star = build(widen_factor=0.5, star=True).train()
    assert all(norm.training for norm in star.norms().values())
    star(torch.randn(2, 3, 64, 64))
    assert all(norm.training for norm in star.train().norms().values())


@torch.no_grad()
def test_v2star_weights_keep_their_star_layers(save, build, realistic):
    trained = realistic(build(widen_factor=0.5, star=True))
    other = build(widen_factor=0.5, star=True).eval()
    report = load_pretrained(other, save({'model': trained.state_dict()}))
    images = torch.randn(1, 3, 64, 64)
    for actual, expected in zip(other(images), trained(images)):
        assert torch.equal(actual, expected)
    assert report.identity == []
    assert report.total == 280 + 80


def test_v2star_weights_are_refused_by_v2(save, build):
    checkpoint = save(build(widen_factor=0.5, star=True).state_dict())
    with pytest.raises(UserError, match=r'star=True'):
        build(checkpoint, widen_factor=0.5)


def test_classifier_and_counters_are_not_counted(save, build):
    weights = build(widen_factor=0.5).state_dict()
    weights = {k: v for k, v in weights.items() if not k.endswith('num_batches_tracked')}
    weights |= {'fc.weight': torch.zeros(10, 1024), 'fc.bias': torch.zeros(10)}
    report = load_pretrained(build(widen_factor=0.5), save(weights))
    assert (len(report.loaded), report.total, report.unused) == (280, 280, [])
    assert report.source.color_order == 'rgb'


def test_missing_conv5_is_a_warning_and_keeps_its_random_start(save, build, caplog):
    weights = build(widen_factor=0.5).state_dict()
    weights = {k: v for k, v in weights.items() if not k.startswith('conv5.')}
    backbone = build(widen_factor=0.5)
    before = copy.deepcopy(backbone.conv5.state_dict())
    report = load_pretrained(backbone, save(weights))
    assert all(torch.equal(before[k], v) for k, v in backbone.conv5.state_dict().items())
    assert backbone.conv5[0].weight.std() > 0
    assert all(name.startswith('conv5.') for name in report.missing)
    assert '275 of 280 tensors loaded' in report.summary()
    assert 'conv5.1.running_var' in report.summary()


@pytest.mark.parametrize(('file', 'network'), [(0.5, 1.0), (1.0, 0.5), (2.0, 1.5), (1.0, 2.0)])
@pytest.mark.parametrize('layout', ['torchvision', 'megvii'])
def test_wrong_width_is_named(file, network, layout, save, build, authors_network):
    if layout == 'megvii':
        checkpoint = save(authors_network(file).state_dict())
    else:
        checkpoint = save(build(widen_factor=file).state_dict())
    backbone = build(widen_factor=network)
    before = copy.deepcopy(backbone.state_dict())
    with pytest.raises(UserError, match=rf'seems to be ShuffleNetV2 {file}x') as raised:
        load_pretrained(backbone, checkpoint)
    assert 'stage2.0.branch' in str(raised.value)
    assert ' instead of ' in str(raised.value)
    assert all(torch.equal(before[k], v) for k, v in backbone.state_dict().items())


def test_wrong_layout_is_named(save, build):
    checkpoint = save({'layer1.0.conv1.weight': torch.zeros(64, 64, 3, 3)})
    with pytest.raises(UserError, match=r'0 of 280 .* layout is not known .*layer1\.0\.conv1'):
        build(checkpoint, widen_factor=0.5)


def test_under_95_percent_stops(save, build):
    weights = build(widen_factor=0.5).state_dict()
    weights = {k: v for k, v in weights.items() if not k.startswith('stage4.3.')}
    with pytest.raises(UserError, match=r'265 of 280 .*stage4\.3\.branch2\.0\.weight is not in'):
        build(save(weights), widen_factor=0.5)


def test_values_that_are_not_finite_are_refused(save, build):
    weights = build(widen_factor=0.5).state_dict()
    weights['stage3.1.branch2.0.weight'][0] = float('nan')
    with pytest.raises(UserError, match=r'stage3\.1\.branch2\.0\.weight hold values'):
        build(save(weights), widen_factor=0.5)


def test_half_precision_and_safetensors(build, tmp_path):
    weights = build(widen_factor=0.5).state_dict()
    path = tmp_path / 'weights.safetensors'
    save_file({k: v.half() if v.is_floating_point() else v for k, v in weights.items()}, path)
    backbone = build(str(path), widen_factor=0.5)
    assert backbone.conv1[0].weight.dtype == torch.float32
    torch.testing.assert_close(
        backbone.conv1[0].weight, weights['conv1.0.weight'], rtol=1e-3, atol=1e-3
    )


class Hostile:
    def __reduce__(self):
        return (exec, ('raise SystemExit("code of a file was run")',))


def test_foreign_pickles_are_refused_unread(save, build):
    with pytest.raises(UserError, match='would run code'):
        build(save({'state_dict': {}, 'meta': Hostile()}), widen_factor=0.5)


@pytest.mark.parametrize('name', ['weights.pth', 'weights.safetensors'])
def test_damaged_files_are_named(name, build, tmp_path):
    path = tmp_path / name
    for content in (b'', b'<html>not found</html>', b'PK\x03\x04' + bytes(100)):
        path.write_bytes(content)
        with pytest.raises(UserError, match=rf'{name}(: not a whole| is damaged)'):
            build(str(path), widen_factor=0.5)


def test_file_without_weights_is_named(save, build):
    with pytest.raises(UserError, match='no weights in this file'):
        build(save({'epoch': 3}), widen_factor=0.5)


def test_a_norm_that_was_not_loaded_trains(save, build):
    weights = build(widen_factor=0.5).state_dict()
    weights = {k: v for k, v in weights.items() if not k.startswith('conv5.')}
    backbone = build(save(weights), widen_factor=0.5, star=True, norm_eval=True, frozen_stages=1)
    backbone.train()
    assert [name for name, norm in backbone.norms().items() if norm.training] == ['conv5.1']
    backbone(torch.randn(2, 3, 64, 64))
    assert backbone.conv5[1].num_batches_tracked == 1
    assert backbone.stage4[3].branch2[6].num_batches_tracked == 0


def test_freezing_what_was_not_loaded_is_refused(save, build):
    weights = build(widen_factor=0.5).state_dict()
    weights = {k: v for k, v in weights.items() if not k.startswith('conv5.')}
    with pytest.raises(UserError, match=r'conv5\.1 is frozen.*--from-scratch'):
        build(save(weights), widen_factor=0.5, frozen_stages=4)


def test_wrong_activation_is_refused(save, build):
    leaky = dict(type='LeakyReLU', negative_slope=0.1)
    checkpoint = save(build(widen_factor=0.5).state_dict())
    with pytest.raises(UserError, match=r'model\.backbone\.act_cfg'):
        build(checkpoint, widen_factor=0.5, act_cfg=leaky)


SHARED_FILES = [
    ('shufflenetv2_x0_5_fastestdet_init.pth', 0.5, None),
    ('shufflenetv2_x0_5_fastestdet_coco.pth', 0.5, None),
    (
        'shufflenetv2_x1_nanodet_m_coco_bncal.pth',
        1.0,
        dict(type='LeakyReLU', negative_slope=0.1),
    ),
]


@pytest.mark.requires_shared('weights')
@pytest.mark.parametrize(('name', 'width', 'act_cfg'), SHARED_FILES)
@torch.no_grad()
def test_shared_files_load_alike_into_v2_and_v2star(name, width, act_cfg, shared_dir, build):
    checkpoint = str(shared_dir / 'weights' / name)
    plain, star = (
        build(checkpoint, widen_factor=width, star=star, act_cfg=act_cfg, norm_eval=True).eval()
        for star in (False, True)
    )
    images = torch.rand(1, 3, 96, 128)
    for actual, expected in zip(star(images)[:3], plain(images)[:3]):
        torch.testing.assert_close(actual, expected, rtol=1e-5, atol=1e-5)
        assert expected.std() > 0.01
    assert plain.norms().keys() - plain.loaded_norms == {'conv5.1'}


def test_builds_from_a_bare_interpreter(save, build):
    checkpoint = save(build(widen_factor=0.5).state_dict())
    code = (
        'import lighthead; from mmdet.registry import MODELS; '
        "b = MODELS.build(dict(type='ShuffleNetV2', widen_factor=0.5, star=True, "
        f"init_cfg=dict(type='Pretrained', checkpoint={checkpoint!r}))); "
        'b.init_weights(); print(len(b.loaded_norms))'
    )
    result = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert result.stdout.splitlines()[-1] == '72', result.stderr
    assert '280 of 280 tensors loaded' in result.stdout + result.stderr


def test_complex_numbers_do_not_fit() -> None:
    """torch would load their real parts with a warning."""
    given = {'a': torch.zeros(2, dtype=torch.complex64), 'b': torch.zeros(2, dtype=torch.float16)}
    compared = compare_weights({'a': (2,), 'b': (2,)}, given)
    assert compared.differing == ['a']
    assert compared.fitting == ['b']
