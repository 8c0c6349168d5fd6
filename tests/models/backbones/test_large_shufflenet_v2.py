"""SE-ShuffleNetV2-164 is the network that its authors released as ShuffleNetV2.Large."""

import pytest
import torch
import torch.nn as nn
import torch.nn.functional as F

from lighthead.models.backbones import LargeShuffleNetV2
from lighthead.models.backbones.large_shufflenet_v2 import SEResidualUnit
from lighthead.models.classifier import ImageClassifier

LAYERS = dict(norm_cfg=dict(type='BN'), act_cfg=dict(type='ReLU'))
AUXILIARY = ((256, 256), (512, 512), (1024, 1024))
"""Input and inner channels of the three classifiers that only the authors' training has."""


def conv(x: torch.Tensor, layer: nn.Conv2d, **arguments) -> torch.Tensor:
    """A convolution and a norm as it is at first, in eval mode."""
    return F.conv2d(x, layer.weight, **arguments) / (1 + 1e-5) ** 0.5


@torch.no_grad()
@pytest.mark.parametrize(('basic', 'stride'), [(True, 1), (False, 1), (False, 2)])
def test_the_unit_equals_a_plain_writing_of_it(basic: bool, stride: int) -> None:
    unit = SEResidualUnit(32, 32 if basic else 48, basic, stride, **LAYERS).eval()
    x = torch.randn(2, 32, 8, 8)
    even, odd = x[:, 0::2], x[:, 1::2]
    first, middle, last = (m for m in unit.branch2 if isinstance(m, nn.Conv2d))
    y = F.relu(conv(odd, first))
    y = F.relu(conv(y, middle, stride=stride, padding=1, groups=8))
    y = conv(y, last)
    squeezed = F.linear(y.mean((2, 3)), unit.se.fc1.weight.flatten(1), unit.se.fc1.bias)
    weights = F.linear(F.relu(squeezed), unit.se.fc2.weight.flatten(1), unit.se.fc2.bias)
    y = y * weights.sigmoid()[:, :, None, None]
    if basic:
        expected = F.relu(torch.cat((even, odd + y), 1))  # it adds, then the activation
    else:
        kept = conv(even, unit.branch1[0], stride=stride, padding=1)
        expected = F.relu(torch.cat((kept, y), 1))
    if stride == 2:
        expected = F.relu(conv(expected, unit.mix[0]))
    torch.testing.assert_close(unit(x), expected, atol=1e-5, rtol=1e-4)


def test_it_has_the_released_number_of_parameters() -> None:
    with torch.device('meta'):
        network = ImageClassifier(dict(type='LargeShuffleNetV2', depth=164))
    count = sum(parameter.numel() for parameter in network.parameters())
    for inputs, inner in AUXILIARY:
        count += inputs * inner + 9 * inner**2 + 4 * inner + 1000 * (inner + 1)
    assert count / 1e6 == pytest.approx(140.7, abs=0.05)


def test_units_per_stage() -> None:
    with torch.device('meta'):
        large, small = LargeShuffleNetV2(164), LargeShuffleNetV2(50)
    for network, units in ((large, [10, 10, 23, 10]), (small, [3, 4, 6, 3])):
        assert [len(getattr(network, f'stage{i}')) for i in (1, 2, 3, 4)] == units
