"""Deformable convolutions of ``mmcv._ext``, on torchvision's; see :mod:`.torchvision_ops`."""

import torch
from torch import Tensor

from lighthead.compat.operator_table import full, operator


def deform_geometry(sizes: dict[str, int]) -> list[int]:
    """Stride, padding, dilation, groups, offset groups in torchvision's order."""
    v1 = ('dH', 'dW', 'padH', 'padW', 'dilationH', 'dilationW', 'group', 'deformable_group')
    v2 = ('stride_h', 'stride_w', 'pad_h', 'pad_w', 'dilation_h', 'dilation_w', *v1[6:])
    return [sizes[name] for name in (v1 if 'dH' in sizes else v2)]


def unmodulated(features: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """A mask and a bias that stand for none."""
    return features.new_zeros(len(features), 1), features.new_zeros(len(weight))


@operator
def deform_conv_forward(
    features: Tensor,
    weight: Tensor,
    offset: Tensor,
    output: Tensor,
    columns: Tensor,
    ones: Tensor,
    **sizes: int,
) -> None:
    """Deformable convolution v1 (arXiv 1703.06211): fill ``output`` (B, C_out, H', W')."""
    inputs = full(features, weight, offset, *unmodulated(features, weight))
    geometry = deform_geometry(sizes)
    output.copy_(torch.ops.torchvision.deform_conv2d(*inputs, *geometry, False))


@operator
def deform_conv_backward_input(
    features: Tensor,
    offset: Tensor,
    grad_output: Tensor,
    grad_input: Tensor,
    grad_offset: Tensor,
    weight: Tensor,
    columns: Tensor,
    **sizes: int,
) -> None:
    """Fill the gradients of the map and of the offsets."""
    inputs = full(grad_output, features, weight, offset, *unmodulated(features, weight))
    backward = torch.ops.torchvision._deform_conv2d_backward
    grads = backward(*inputs, *deform_geometry(sizes), False)
    grad_input.copy_(grads[0])
    grad_offset.copy_(grads[2])


@operator
def deform_conv_backward_parameters(
    features: Tensor,
    offset: Tensor,
    grad_output: Tensor,
    grad_weight: Tensor,
    columns: Tensor,
    ones: Tensor,
    scale: float,
    **sizes: int,
) -> None:
    """Add ``scale`` times the gradient of the weight."""
    inputs = full(grad_output, features, grad_weight, offset, *unmodulated(features, grad_weight))
    backward = torch.ops.torchvision._deform_conv2d_backward
    grads = backward(*inputs, *deform_geometry(sizes), False)
    grad_weight.add_(grads[1].to(grad_weight.dtype), alpha=scale)


@operator
def modulated_deform_conv_forward(
    features: Tensor,
    weight: Tensor,
    bias: Tensor,
    ones: Tensor,
    offset: Tensor,
    mask: Tensor,
    output: Tensor,
    columns: Tensor,
    with_bias: bool,
    **sizes: int,
) -> None:
    """Deformable convolution v2 (arXiv 1811.11168): fill ``output`` (B, C_out, H', W')."""
    bias = bias if with_bias else weight.new_zeros(len(weight))
    inputs = full(features, weight, offset, mask, bias)
    geometry = deform_geometry(sizes)
    output.copy_(torch.ops.torchvision.deform_conv2d(*inputs, *geometry, True))


@operator
def modulated_deform_conv_backward(
    features: Tensor,
    weight: Tensor,
    bias: Tensor,
    ones: Tensor,
    offset: Tensor,
    mask: Tensor,
    columns: Tensor,
    grad_input: Tensor,
    grad_weight: Tensor,
    grad_bias: Tensor,
    grad_offset: Tensor,
    grad_mask: Tensor,
    grad_output: Tensor,
    with_bias: bool,
    **sizes: int,
) -> None:
    """Fill the gradients of the map, the weight, the offsets, the mask and the bias."""
    bias = bias if with_bias else weight.new_zeros(len(weight))
    inputs = full(grad_output, features, weight, offset, mask, bias)
    backward = torch.ops.torchvision._deform_conv2d_backward
    grads = backward(*inputs, *deform_geometry(sizes), True)
    targets = [grad_input, grad_weight, grad_offset, grad_mask, grad_bias]
    for target, grad in zip(targets if with_bias else targets[:4], grads):
        target.copy_(grad)
