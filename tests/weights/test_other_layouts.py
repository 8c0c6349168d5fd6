"""Megvii's ShuffleNet v1 and timm's MobileNet v2: their files give their networks' features.

The references are written from the published layouts (names, shapes, order of the operations).
"""

import pytest
import torch
import torch.nn as nn
import torch.nn.functional as F
import torchvision

from lighthead.errors import UserError
from lighthead.models.backbones.shufflenet_v1 import SHUFFLENET_V1
from lighthead.weights import layouts
from lighthead.weights.classifier_layer import load_last_layer

REPEATS = (4, 8, 4)


class MegviiV1Unit(nn.Module):
    """The shuffle stands after the depthwise convolution, and writes group by group."""

    def __init__(self, inputs: int, outputs: int, stride: int, groups: int, first: bool) -> None:
        super().__init__()
        middle = outputs // 4
        self.groups, self.stride = groups, stride
        self.branch_main_1 = nn.Sequential(
            nn.Conv2d(inputs, middle, 1, groups=1 if first else groups, bias=False),
            nn.BatchNorm2d(middle),
            nn.ReLU(),
            nn.Conv2d(middle, middle, 3, stride, 1, groups=middle, bias=False),
            nn.BatchNorm2d(middle),
        )
        made = outputs - inputs if stride == 2 else outputs
        self.branch_main_2 = nn.Sequential(
            nn.Conv2d(middle, made, 1, groups=groups, bias=False), nn.BatchNorm2d(made)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.branch_main_1(x)
        batch, channels, height, width = y.shape
        y = y.reshape(batch, channels // self.groups, self.groups, height, width)
        y = self.branch_main_2(y.transpose(1, 2).reshape(batch, channels, height, width))
        if self.stride == 1:
            return F.relu(x + y)
        return torch.cat((F.avg_pool2d(x, 3, 2, 1), F.relu(y)), dim=1)


class MegviiV1(nn.Module):
    """ShuffleNet v1 with Megvii's names; ``forward`` gives its three stages."""

    def __init__(self, width: float, groups: int = 3) -> None:
        super().__init__()
        layout = SHUFFLENET_V1[width]
        self.first_conv = nn.Sequential(
            nn.Conv2d(3, layout.stem, 3, 2, 1, bias=False), nn.BatchNorm2d(layout.stem), nn.ReLU()
        )
        units, channels = [], layout.stem
        for outputs, count in zip(layout.stages, REPEATS, strict=True):
            for position in range(count):
                stride = 1 if position else 2
                units.append(MegviiV1Unit(channels, outputs, stride, groups, not units))
                channels = outputs
        self.features = nn.Sequential(*units)
        self.classifier = nn.Sequential(nn.Linear(channels, 10, bias=False))

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        x, outputs = F.max_pool2d(self.first_conv(x), 3, 2, 1), []
        for unit in self.features:
            x = unit(x)
            outputs.append(x)
        return [outputs[3], outputs[11], outputs[15]]


@torch.no_grad()
@pytest.mark.parametrize('width', list(SHUFFLENET_V1))
def test_megviis_shufflenet_v1(width, save, build, realistic):
    network = realistic(MegviiV1(width))
    checkpoint = save({'state_dict': {f'module.{k}': v for k, v in network.state_dict().items()}})
    backbone = build(checkpoint, type='ShuffleNetV1', widen_factor=width, out_indices=(0, 1, 2))
    assert set(backbone.loaded_norms) == set(backbone.norms())
    images = torch.randn(2, 3, 64, 96)
    for actual, expected in zip(backbone.eval()(images), network(images), strict=True):
        assert ((actual - expected).abs().max() / expected.abs().max()).item() <= 1e-5
    source = backbone.weight_source
    assert (source.color_order, source.mean) == ('bgr', (0.0, 0.0, 0.0))
    fc = nn.Linear(network.classifier[0].in_features, 10)
    assert load_last_layer(fc, checkpoint)
    assert torch.equal(fc.weight, network.classifier[0].weight)


def test_shufflenet_v1_with_other_groups_is_refused(save, build):
    checkpoint = save(MegviiV1(0.5, groups=1).state_dict())
    with pytest.raises(UserError, match='with 1 groups do not fit: take those of 3'):
        build(checkpoint, type='ShuffleNetV1', widen_factor=0.5, out_indices=(0, 1, 2))


TIMM_NAMES = {
    # torchvision's layer in a block -> timm's, in the first block and in the others
    True: {'conv.0.0': 'conv_dw', 'conv.0.1': 'bn1', 'conv.1': 'conv_pw', 'conv.2': 'bn2'},
    False: {
        'conv.0.0': 'conv_pw',
        'conv.0.1': 'bn1',
        'conv.1.0': 'conv_dw',
        'conv.1.1': 'bn2',
        'conv.2': 'conv_pwl',
        'conv.3': 'bn3',
    },
}
TIMM_BLOCKS = [(s, b) for s, count in enumerate((1, 2, 3, 4, 3, 3, 1)) for b in range(count)]


def in_timms_names(network: nn.Module) -> dict[str, torch.Tensor]:
    """torchvision's MobileNet v2 as timm writes it."""
    ends = {'features.0.0': 'conv_stem', 'features.0.1': 'bn1'}
    ends |= {'features.18.0': 'conv_head', 'features.18.1': 'bn2', 'classifier.1': 'classifier'}
    renamed = {}
    for name, tensor in network.state_dict().items():
        layer, _, field = name.rpartition('.')
        if layer in ends:
            renamed[f'{ends[layer]}.{field}'] = tensor
            continue
        _, index, part = layer.split('.', 2)
        stage, block = TIMM_BLOCKS[int(index) - 1]
        renamed[f'blocks.{stage}.{block}.{TIMM_NAMES[index == "1"][part]}.{field}'] = tensor
    return renamed


@torch.no_grad()
@pytest.mark.parametrize('width', [1.0, 1.4])
def test_timms_mobilenet_v2(width, save, build, realistic):
    network = realistic(torchvision.models.mobilenet_v2(width_mult=width))
    weights = in_timms_names(network)
    assert len(weights) == len(network.state_dict())
    checkpoint = save(weights)
    backbone = build(
        checkpoint, type='StagedMobileNetV2', widen_factor=width, out_indices=(0, 1, 2, 3)
    )
    assert set(backbone.loaded_norms) == set(backbone.norms())
    images = torch.randn(1, 3, 64, 64)
    expected = network.features(images)
    assert torch.allclose(backbone.eval()(images)[-1], expected, rtol=1e-5, atol=1e-5)
    assert backbone.weight_source.act_cfg == dict(type='ReLU6')
    assert backbone.weight_source.color_order == 'rgb'
    fc = nn.Linear(*reversed(network.classifier[1].weight.shape))
    assert load_last_layer(fc, checkpoint)
    assert torch.equal(fc.weight, network.classifier[1].weight)


def test_the_layouts_are_recognised():
    assert layouts.recognise(MegviiV1(0.5).state_dict()) == 'megvii_v1'
    network = torchvision.models.mobilenet_v2()
    assert layouts.recognise(in_timms_names(network)) == 'timm'
