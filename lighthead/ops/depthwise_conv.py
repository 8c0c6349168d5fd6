"""A depthwise convolution whose bf16 gradients are fast on a CPU.

oneDNN has fast kernels for the weight gradient of a 3x3 depthwise convolution and none for 5x5
(30 times the forward pass), nor for the input gradient of a strided one in bf16. The first is put
together from four 3x3 gradients, the second is computed in float32. Elsewhere it is nn.Conv2d.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


class DepthwiseConv2d(nn.Conv2d):
    """nn.Conv2d (same arguments, same state dict) with one filter per channel, no bias."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C, H / stride, W / stride)."""
        if not (self.training and torch.is_grad_enabled() and x.device.type == 'cpu'):
            return super().forward(x)
        weight = self.weight
        if torch.is_autocast_enabled('cpu'):
            dtype = torch.get_autocast_dtype('cpu')
            x, weight = x.to(dtype), weight.to(dtype)
        plain = self.dilation == (1, 1) and self.kernel_size in ((3, 3), (5, 5))
        if not plain or weight.dtype != torch.bfloat16 or self.bias is not None:
            return super().forward(x)
        return _Depthwise.apply(x, weight, self.stride[0], self.padding[0])


class _Depthwise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: int, padding: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride, ctx.padding = stride, padding
        return F.conv2d(x, weight, None, stride, padding, groups=x.shape[1])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        x, weight = ctx.saved_tensors
        grad_x = grad_weight = None
        if ctx.needs_input_grad[0]:
            grad_x = _input_gradient(grad, x, weight, ctx.stride, ctx.padding)
        if ctx.needs_input_grad[1]:
            grad_weight = _weight_gradient(grad, x, weight, ctx.stride, ctx.padding)
        return grad_x, grad_weight, None, None


def _input_gradient(grad: Tensor, x: Tensor, weight: Tensor, stride: int, padding: int) -> Tensor:
    if stride > 1:  # only the shape of x counts
        grad, weight, like = grad.float(), weight.float(), torch.empty_like(x, dtype=torch.float32)
    else:
        like = x
    return _gradient(grad, like, weight, stride, padding, 0).to(x.dtype)


def _weight_gradient(grad: Tensor, x: Tensor, weight: Tensor, stride: int, padding: int) -> Tensor:
    size = weight.shape[-1]
    if size == 3:
        return _gradient(grad, x, weight, stride, padding, 1)
    x = F.pad(x, [padding] * 4)
    height, width = (3 + stride * (side - 1) for side in grad.shape[2:])
    result, corner = torch.empty_like(weight), weight[:, :, :3, :3].contiguous()
    for top in (0, 2):
        for left in (0, 2):
            part = x[:, :, top : top + height, left : left + width]
            part = part.contiguous(memory_format=torch.channels_last)
            block = _gradient(grad, part, corner, stride, 0, 1)
            result[:, :, top : top + 3, left : left + 3] = block
    return result


def _gradient(
    grad: Tensor, x: Tensor, weight: Tensor, stride: int, padding: int, which: int
) -> Tensor:
    """The gradient of the input (``which`` 0) or of the weight (1)."""
    mask = [which == 0, which == 1, False]
    arguments = ([stride] * 2, [padding] * 2, [1, 1], False, [0, 0], x.shape[1], mask)
    return torch.ops.aten.convolution_backward(grad, x, weight, None, *arguments)[which]
