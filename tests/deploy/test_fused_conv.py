"""Convolutions fused with their activations: the same maps, and a fallback."""

from copy import deepcopy

import pytest
import torch
from mmcv.cnn import ConvModule, fuse_conv_bn
from torch import nn

from lighthead.deploy import fused_conv
from lighthead.deploy.fused_conv import FusedConv, fuse_convs, fusion_works
from lighthead.deploy.unshuffled import UnshuffledBackbone

from .test_unshuffled import folded


@pytest.mark.skipif(not fusion_works(), reason='this torch has no oneDNN')
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


@pytest.mark.skipif(not fusion_works(), reason='this torch has no oneDNN')
def test_convolutions_of_mmcv():
    layer = ConvModule(8, 16, 3, padding=1, norm_cfg=dict(type='BN'), act_cfg=dict(type='ReLU'))
    plain = fuse_conv_bn(nn.ModuleDict(dict(layer=layer)).eval()).requires_grad_(False)
    fused = deepcopy(plain)
    fuse_convs(fused)
    assert [type(child) for child in fused['layer']] == [FusedConv]
    x = torch.randn(2, 8, 9, 7)
    torch.testing.assert_close(fused['layer'](x), plain['layer'](x), atol=1e-4, rtol=1e-4)


def test_without_the_operator_there_is_a_warning(monkeypatch):
    def refuse(self, x):
        raise AttributeError('no such operator')

    monkeypatch.setattr(FusedConv, 'forward', refuse)
    fused_conv.fusion_works.cache_clear()
    with pytest.warns(RuntimeWarning, match='no fused convolution'):
        assert not fusion_works()
    fused_conv.fusion_works.cache_clear()
