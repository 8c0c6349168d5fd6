"""Convolution and activation as one call of oneDNN, with weights that are laid out once.

``nn.Conv2d`` reorders its weights at every call, and the ReLU or LeakyReLU behind it
reads and writes the whole map once more.
"""

import torch
from torch import Tensor, nn

PASSED_OVER = (nn.Identity, nn.Dropout)


class FusedConv(nn.Module):
    """A convolution, and the activation behind it where there is one, on the CPU.

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
        return torch.ops.mkldnn._convolution_pointwise(
            x, self.weight, self.bias, *self.geometry, *self.activation, ''
        )


def can_fuse() -> bool:
    """Whether this torch has the operator."""
    return torch.backends.mkldnn.is_available() and hasattr(
        torch.ops.mkldnn, '_convolution_pointwise'
    )


def fuse_convs(module: nn.Module) -> None:
    """Replace the convolutions in a module, in place; activations behind them go in."""
    for name, child in list(module.named_children()):
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


def _fits(conv: nn.Conv2d) -> bool:
    return conv.padding_mode == 'zeros' and not isinstance(conv.padding, str)
