"""The unit of ShuffleNet v1 and of the light Xception, against the paper's drawing."""

import pytest
import torch
import torch.nn as nn
import torch.nn.functional as F

from lighthead.models.backbones import LargeShuffleNetV1, LightXception, ShuffleNetV1
from lighthead.models.backbones.bottleneck_net import BottleneckUnit

LAYERS = dict(norm_cfg=dict(type='BN'), act_cfg=dict(type='ReLU'))


@pytest.mark.parametrize('groups', [1, 3])
@pytest.mark.parametrize(('in_channels', 'stride'), [(24, 1), (12, 2)])
def test_unit_equals_a_plain_writing_of_it(groups: int, in_channels: int, stride: int) -> None:
    unit = BottleneckUnit(in_channels, 24, stride, groups, **LAYERS).train()
    x = torch.randn(2, in_channels, 8, 8)
    conv1, conv2, conv3 = (m for m in unit.modules() if isinstance(m, nn.Conv2d))
    assert conv2.groups == conv2.in_channels == 6
    y = F.relu(F.batch_norm(F.conv2d(x, conv1.weight, groups=groups), None, None, training=True))
    y = y[:, [group * (6 // groups) + i for i in range(6 // groups) for group in range(groups)]]
    y = F.conv2d(y, conv2.weight, stride=stride, padding=1, groups=6)
    y = F.batch_norm(y, None, None, training=True)
    y = F.conv2d(y, conv3.weight, groups=groups)
    y = F.batch_norm(y, None, None, training=True)
    if stride == 2:
        expected = F.relu(torch.cat((F.avg_pool2d(x, 3, 2, 1), y), dim=1))
    else:
        expected = F.relu(x + y)
    torch.testing.assert_close(unit(x), expected, atol=1e-5, rtol=1e-4)


def entry_groups(network: nn.Module) -> list[int]:
    stages = [getattr(network, name) for name in ('stage2', 'stage3', 'stage4')]
    return [stage[0].compress[0].groups for stage in stages]


def test_groups() -> None:
    assert entry_groups(ShuffleNetV1(0.5)) == [1, 3, 3]
    assert entry_groups(LightXception(0.5)) == [1, 1, 1]
    assert ShuffleNetV1(0.5).stage2[0].expand[0].groups == 3


def test_units_per_stage() -> None:
    for network in (ShuffleNetV1(0.5), LightXception(0.5)):
        assert [len(getattr(network, f'stage{i}')) for i in (2, 3, 4)] == [4, 8, 4]
    large = LargeShuffleNetV1()
    assert [len(getattr(large, f'stage{i}')) for i in (1, 2, 3, 4)] == [3, 4, 6, 3]
    assert not large.stage1[0].adds
    assert large.stage1[0].pool is None
    assert large.stage1[1].adds
