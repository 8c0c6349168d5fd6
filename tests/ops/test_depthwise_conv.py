"""The depthwise convolution against nn.Conv2d."""

import pytest
import torch
from torch import nn

from lighthead.ops.depthwise_conv import DepthwiseConv2d, _Depthwise


def gradients(layer: nn.Module, x: torch.Tensor) -> list[torch.Tensor]:
    """Output, input gradient and weight gradient under bf16 autocast."""
    layer.zero_grad()
    x = x.clone().requires_grad_()
    with torch.autocast('cpu', dtype=torch.bfloat16):
        y = layer(x)
    y.backward(torch.linspace(-1, 1, y.numel()).view_as(y).to(y))
    return [y, x.grad, layer.weight.grad]


@pytest.mark.parametrize('kernel', [3, 5])
@pytest.mark.parametrize('stride', [1, 2])
@pytest.mark.parametrize('size', [(12, 16), (13, 7), (1, 2)])
def test_equals_conv2d(kernel, stride, size) -> None:
    args = (8, 8, kernel, stride, kernel // 2)
    layer = DepthwiseConv2d(*args, groups=8, bias=False)
    plain = nn.Conv2d(*args, groups=8, bias=False)
    plain.load_state_dict(layer.state_dict())
    x = torch.randn(2, 8, *size).contiguous(memory_format=torch.channels_last)
    for value, expected in zip(gradients(layer, x), gradients(plain, x), strict=True):
        assert value.dtype == expected.dtype
        scale = expected.abs().max().clamp(min=1e-3)
        assert (value - expected).abs().max() <= 0.02 * scale


def test_takes_the_own_gradient_only_in_bf16_training() -> None:
    layer = DepthwiseConv2d(4, 4, 5, padding=2, groups=4, bias=False)
    x = torch.randn(1, 4, 8, 8)
    name = _Depthwise.__name__
    assert name not in layer(x).grad_fn.name()
    with torch.autocast('cpu', dtype=torch.bfloat16):
        assert name in layer(x).grad_fn.name()
        assert name not in layer.eval()(x).grad_fn.name()
