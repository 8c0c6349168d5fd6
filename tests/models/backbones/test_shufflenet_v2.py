"""ShuffleNetV2 against torchvision's, and ShuffleNetV2* against ShuffleNetV2."""

import copy

import pytest
import torch
import torch.nn as nn
import torchvision.models.shufflenetv2 as torchvision_net
from mmdet.registry import MODELS

from lighthead.errors import UserError
from lighthead.models.backbones import ShuffleNetV2, ShuffleNetV2SE
from lighthead.models.backbones.layers import channel_shuffle
from lighthead.models.backbones.shufflenet_v2 import WIDTHS
from lighthead.weights.identity_norm import make_identity

ALL = (0, 1, 2, 3)
widths = pytest.mark.parametrize('factor', list(WIDTHS))


def reference(factor: float) -> nn.Module:
    """torchvision's network at random, with norm statistics that matter."""
    name = f'shufflenet_v2_x{factor}'.replace('.', '_')
    network = getattr(torchvision_net, name)(weights=None)
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.running_mean.normal_(0, 0.1)
            norm.running_var.uniform_(0.5, 1.5)
            norm.weight.data.uniform_(0.5, 1.5)
    return network.eval()


def reference_features(network: nn.Module, x: torch.Tensor) -> list[torch.Tensor]:
    x = network.maxpool(network.conv1(x))
    outputs = []
    for name in ShuffleNetV2.stage_names:
        x = getattr(network, name)(x)
        outputs.append(x)
    return outputs


@widths
def test_torchvisions_weights_load_and_give_its_features(factor: float) -> None:
    theirs = reference(factor)
    weights = {k: v for k, v in theirs.state_dict().items() if not k.startswith('fc.')}
    ours = ShuffleNetV2(factor, out_indices=ALL).eval()
    assert list(ours.state_dict()) == list(weights)
    ours.load_state_dict(weights)
    image = torch.randn(2, 3, 64, 96)
    with torch.no_grad():
        outputs = ours(image)
        expected = reference_features(theirs, image)
    for output, feature in zip(outputs, expected, strict=True):
        torch.testing.assert_close(output, feature, atol=1e-6, rtol=1e-6)


def test_star_adds_one_depthwise_convolution_and_norm_to_every_unit() -> None:
    plain, star = ShuffleNetV2(0.5).state_dict(), ShuffleNetV2(0.5, star=True).state_dict()
    assert set(plain) < set(star)
    added = set(star) - set(plain)
    assert {name.split('.', 2)[2] for name in added} == {
        'star.conv.weight',
        *(f'star.bn.{field}' for field in ('weight', 'bias', 'running_mean', 'running_var')),
        'star.bn.num_batches_tracked',
    }
    assert len({name.split('.star.')[0] for name in added}) == 16
    for name in added:
        if name.endswith('conv.weight'):
            assert star[name].shape[1:] == (1, 3, 3)


def test_star_with_dirac_kernels_and_neutral_norms_is_the_plain_network() -> None:
    plain, star = ShuffleNetV2(0.5).eval(), ShuffleNetV2(0.5, star=True).eval()
    star.load_state_dict(plain.state_dict(), strict=False)
    for module in star.modules():
        if getattr(module, 'star', None):
            nn.init.dirac_(module.star.conv.weight, groups=module.star.conv.groups)
            make_identity(module.star.bn)
    image = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        for a, b in zip(plain(image), star(image), strict=True):
            torch.testing.assert_close(a, b, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize(
    ('dilated', 'strides'), [(False, (8, 16, 32, 32)), (True, (8, 16, 16, 16))]
)
def test_stage4_can_keep_stride_16(dilated: bool, strides: tuple[int, ...]) -> None:
    network = ShuffleNetV2(0.5, out_indices=ALL, dilated_stage4=dilated).eval()
    with torch.no_grad():
        outputs = network(torch.randn(1, 3, 96, 64))
    assert [o.shape[2:] for o in outputs] == [(96 // s, 64 // s) for s in strides]
    middles = [m for m in network.stage4.modules() if isinstance(m, nn.Conv2d) and m.groups > 1]
    dilations = [conv.dilation[0] for conv in middles]
    assert dilations == ([1, 1, 2, 2, 2] if dilated else [1] * 5)


def test_channel_shuffle_interleaves_the_groups() -> None:
    x = torch.arange(6.0).view(1, 6, 1, 1)
    assert channel_shuffle(x).flatten().tolist() == [0, 3, 1, 4, 2, 5]
    assert channel_shuffle(x, 3).flatten().tolist() == [0, 2, 4, 1, 3, 5]


@pytest.mark.parametrize(
    ('arguments', 'sentence'),
    [
        (dict(widen_factor=0.75), r'widen_factor=0.75 .* \[0.5, 1.0, 1.5, 2.0\]'),
        (dict(out_indices=()), 'out_indices'),
        (dict(out_indices=(0, 4)), r'choose from 0\.\.3 \(stage2, stage3, stage4, conv5\)'),
        (dict(out_indices=(-1,)), 'out_indices'),
        (dict(frozen_stages=5), r'frozen_stages=5 is not in -1\.\.4'),
        (dict(frozen_stages=-2), 'frozen_stages=-2'),
    ],
)
def test_impossible_arguments_are_explained(arguments: dict, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        ShuffleNetV2(**arguments)


def test_building_leaves_the_config_alone() -> None:
    cfg = dict(
        type='ShuffleNetV2',
        widen_factor=0.5,
        norm_cfg=dict(type='BN', eps=1e-3),
        act_cfg=dict(type='LeakyReLU', negative_slope=0.1),
    )
    kept = copy.deepcopy(cfg)
    network = MODELS.build(cfg)
    assert cfg == kept
    assert {norm.eps for norm in network.norms().values()} == {1e-3}
    assert any(isinstance(module, nn.LeakyReLU) for module in network.modules())


def test_se_weighs_the_transformed_branch_only() -> None:
    plain, se = ShuffleNetV2(0.5).eval(), ShuffleNetV2SE(0.5).eval()
    added = set(se.state_dict()) - set(plain.state_dict())
    assert {name.split('.', 2)[2].split('.')[0] for name in added} == {'se'}
    unit = se.stage2[1]
    for parameter in unit.se.fc2.parameters():
        nn.init.zeros_(parameter)  # every weight is sigmoid(0) = 1/2
    x = torch.randn(1, 48, 8, 8)
    with torch.no_grad():
        passed, changed = unit(x).view(1, 24, 2, 8, 8).unbind(2)
        expected = 0.5 * unit.branch2(x[:, 24:])
    torch.testing.assert_close(passed, x[:, :24])
    torch.testing.assert_close(changed, expected)
