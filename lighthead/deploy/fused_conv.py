"""Convolution and activation as one call of oneDNN, with weights that are laid out once.

``nn.Conv2d`` reorders its weights at every call, and the ReLU or LeakyReLU behind it
reads and writes the whole map once more. ``benchmarks/fused_convolutions.py`` measures what that
is worth.
"""

import functools
import warnings

import torch
from mmcv.cnn import ConvModule
from torch import Tensor, nn

PASSED_OVER = (nn.Identity, nn.Dropout)


class FusedConv(nn.Module):
    """A convolution, and the activation behind it where there is one, on the CPU.

    The first call lays its weights out as oneDNN wants them; their type is not to be changed after.

    Args:
        conv: The convolution, with zeros as padding.
    """

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.weight = nn.Parameter(
            conv.weight.detach().to(memory_format=torch.channels_last), requires_grad=False
        )
        self.bias = conv.bias
        self.geometry = (list(conv.padding), list(conv.stride), list(conv.dilation), conv.groups)
        self.activation: tuple[str, list[float]] = ('none', [])
        self.laid_out: Tensor | None = None

    def activate(self, layer: nn.Module) -> bool:
        """Take over the activation behind it; False where that is not possible."""
        if self.activation[0] != 'none':
            return False
        if isinstance(layer, nn.ReLU):
            self.activation = ('relu', [])
        elif isinstance(layer, nn.LeakyReLU):
            self.activation = ('leaky_relu', [layer.negative_slope])
        return self.activation[0] != 'none'

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C', H', W')."""
        if self.laid_out is None:
            self.laid_out = torch.ops.mkldnn._reorder_convolution_weight(
                self.weight, *self.geometry, list(x.shape)
            )
        return torch.ops.mkldnn._convolution_pointwise(
            x, self.laid_out, self.bias, *self.geometry, *self.activation, ''
        )


@functools.cache
def fusion_works() -> bool:
    """Whether this torch has the operator and it gives a convolution's result; it is private to
    torch, so a later version may change it: then a warning is given, once."""
    if not torch.backends.mkldnn.is_available():
        return False
    conv = nn.Conv2d(8, 8, 3, padding=1).requires_grad_(False)
    plain = nn.Sequential(conv, nn.LeakyReLU(0.1))
    x = torch.linspace(-1, 1, 8 * 25).view(1, 8, 5, 5)
    try:
        works = torch.allclose(_fused_sequence(plain)(x), plain(x), atol=1e-4)
    except (AttributeError, RuntimeError, TypeError):
        works = False
    if not works:
        warnings.warn(
            'This torch has no fused convolution that lighthead knows: convolutions and their '
            'activations run one after the other, which is slower.',
            RuntimeWarning,
            stacklevel=2,
        )
    return works


def fuse_convs(module: nn.Module) -> None:
    """Replace the convolutions in a module, in place; activations behind them go in."""
    for name, child in list(module.named_children()):
        if isinstance(child, ConvModule):
            child = sequence_of(child)
        if isinstance(child, nn.Sequential):
            setattr(module, name, _fused_sequence(child))
        elif isinstance(child, nn.Conv2d) and _fits(child):
            setattr(module, name, FusedConv(child))
        else:
            fuse_convs(child)


def _fused_sequence(sequence: nn.Sequential) -> nn.Sequential:
    layers: list[nn.Module] = []
    for layer in sequence:
        if isinstance(layer, PASSED_OVER):
            continue
        if isinstance(layer, ConvModule):
            layer = sequence_of(layer)
        last = layers[-1] if layers else None
        if isinstance(last, FusedConv) and last.activate(layer):
            continue
        if isinstance(layer, nn.Conv2d) and _fits(layer):
            layers.append(FusedConv(layer))
        elif isinstance(layer, nn.Sequential):
            layers.append(_fused_sequence(layer))
        else:
            fuse_convs(layer)
            layers.append(layer)
    return nn.Sequential(*layers)


def sequence_of(module: ConvModule) -> nn.Sequential:
    """mmcv's convolution, norm (folded: an identity) and activation as a sequence."""
    layers = dict(conv=module.conv, norm=module.norm, act=getattr(module, 'activate', None))
    return nn.Sequential(*(layers[name] for name in module.order if layers[name] is not None))


def _fits(conv: nn.Conv2d) -> bool:
    return conv.padding_mode == 'zeros' and not isinstance(conv.padding, str)
