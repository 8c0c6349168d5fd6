"""Layers that the backbones share: convolution, norm and activation in a row."""

import torch
from mmcv.cnn import build_activation_layer, build_norm_layer
from torch import Tensor, nn

from lighthead.ops.depthwise_conv import DepthwiseConv2d


def channel_shuffle(x: Tensor, groups: int = 2) -> Tensor:
    """Interleave the channel groups of a map (B, C, H, W), in the memory format it has."""
    return torch.channel_shuffle(x, groups)


def conv3x3(
    in_channels: int, channels: int, stride: int, norm_cfg: dict, act_cfg: dict
) -> list[nn.Module]:
    """3x3 convolution, norm, activation."""
    return [
        nn.Conv2d(in_channels, channels, 3, stride, 1, bias=False),
        build_norm_layer(norm_cfg, channels)[1],
        build_activation_layer(act_cfg),
    ]


def pointwise(in_channels: int, channels: int, norm_cfg: dict, act_cfg: dict) -> list[nn.Module]:
    """1x1 convolution, norm, activation."""
    return [
        nn.Conv2d(in_channels, channels, 1, bias=False),
        build_norm_layer(norm_cfg, channels)[1],
        build_activation_layer(act_cfg),
    ]


def depthwise(channels: int, stride: int, dilation: int, norm_cfg: dict) -> list[nn.Module]:
    """3x3 depthwise convolution and norm, without activation."""
    conv = DepthwiseConv2d(
        channels, channels, 3, stride, dilation, dilation=dilation, groups=channels, bias=False
    )
    return [conv, build_norm_layer(norm_cfg, channels)[1]]
