"""Inference without shuffles: the same maps, in a known order."""

from copy import deepcopy

import pytest
import torch
from mmcv.cnn import fuse_conv_bn
from torch import nn

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
        maps = zip(backbone(images), unshuffled(images), unshuffled.orders, strict=True)
    for expected, output, order in maps:
        assert sorted(order.tolist()) == list(range(expected.shape[1]))
        torch.testing.assert_close(output, expected[:, order], atol=1e-4, rtol=1e-4)
    assert all(torch.equal(before[name], value) for name, value in backbone.state_dict().items())


def test_every_channel_is_read_once():
    reads, out = plan_stage([6] * 5)
    everything = [channel for group in [*reads, out] for channel in group]
    assert len(everything) == len(set(everything)) == 6 * (5 + 1)
    assert [len(group) for group in reads] == [6] * 4
    assert len(out) == 12


def test_the_example_of_the_docstring():
    reads, out = plan_stage([4] * 3)
    names = [' '.join('ABCD'[source] + str(c) for source, c in group) for group in [*reads, out]]
    assert names == ['A2 B2 A3 B3', 'A1 C2 B1 C3', 'A0 D0 C0 D1 B0 D2 C1 D3']


def test_without_conv5():
    backbone = folded(0.5, False, (0, 1, 2), with_conv5=False)
    unshuffled = UnshuffledBackbone(backbone)
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        maps = zip(backbone(images), unshuffled(images), unshuffled.orders, strict=True)
        for expected, output, order in maps:
            torch.testing.assert_close(output, expected[:, order], atol=1e-4, rtol=1e-4)


def test_other_networks_are_left_alone():
    assert can_unshuffle(ShuffleNetV2(0.5))
    assert not can_unshuffle(AuthorsShuffleNetV2(0.5))
    assert not can_unshuffle(nn.Identity())
