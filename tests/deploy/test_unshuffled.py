"""Inference without shuffles and with oneDNN's convolutions: the same maps, in a known order."""

from copy import deepcopy

import pytest
import torch
from mmcv.cnn import fuse_conv_bn
from torch import nn

from lighthead.deploy.fused_conv import FusedConv, can_fuse, fuse_convs
from lighthead.deploy.unshuffled import UnshuffledBackbone, can_unshuffle, plan_stage
from lighthead.models.backbones.authors_shufflenet_v2 import AuthorsShuffleNetV2
from lighthead.models.backbones.shufflenet_v2 import ShuffleNetV2


def folded(widen_factor: float, star: bool, out_indices=(0, 1, 2, 3), **options) -> nn.Module:
    backbone = ShuffleNetV2(widen_factor, star, out_indices, **options)
    for module in backbone.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.2)
            nn.init.uniform_(module.weight, 0.7, 1.4)
    return fuse_conv_bn(backbone.eval()).requires_grad_(False)


@pytest.mark.parametrize('star', [False, True])
@pytest.mark.parametrize('widen_factor', [0.5, 1.0, 1.5, 2.0])
def test_same_maps(widen_factor, star):
    backbone = folded(widen_factor, star)
    before = deepcopy(backbone.state_dict())
    unshuffled = UnshuffledBackbone(backbone)
    images = torch.randn(2, 3, 64, 96)
    with torch.no_grad():
        expected, found = backbone(images), unshuffled(images)
    for wanted, mine, order in zip(expected, found, unshuffled.orders, strict=True):
        assert sorted(order.tolist()) == list(range(wanted.shape[1]))
        torch.testing.assert_close(mine, wanted[:, order], atol=1e-4, rtol=1e-4)
    assert all(torch.equal(before[name], value) for name, value in backbone.state_dict().items())


def test_every_channel_is_read_once():
    reads, out = plan_stage([6] * 5)
    everything = [channel for group in [*reads, out] for channel in group]
    assert len(everything) == len(set(everything)) == 6 * (5 + 1)
    assert [len(group) for group in reads] == [6] * 4
    assert len(out) == 12


def test_other_networks_are_left_alone():
    assert can_unshuffle(ShuffleNetV2(0.5))
    assert not can_unshuffle(AuthorsShuffleNetV2(0.5))
    assert not can_unshuffle(nn.Identity())


@pytest.mark.skipif(not can_fuse(), reason='this torch has no oneDNN')
@pytest.mark.parametrize('act_cfg', [dict(type='ReLU'), dict(type='LeakyReLU', negative_slope=0.1)])
def test_fused_convolutions(act_cfg):
    backbone = UnshuffledBackbone(folded(0.5, True, act_cfg=act_cfg))
    fused = deepcopy(backbone)
    fuse_convs(fused)
    kinds = [type(module) for module in fused.modules()]
    assert nn.Conv2d not in kinds
    assert not {nn.ReLU, nn.LeakyReLU} & set(kinds)
    assert FusedConv in kinds
    images = torch.randn(2, 3, 64, 96).to(memory_format=torch.channels_last)
    with torch.inference_mode():
        for wanted, mine in zip(backbone(images), fused(images), strict=True):
            torch.testing.assert_close(mine, wanted, atol=1e-4, rtol=1e-4)
