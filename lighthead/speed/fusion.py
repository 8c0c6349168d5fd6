"""Folding batch norm into the convolution before it, for inference.

Which norm follows which convolution is seen by running the network once, so
that it works whatever the order in which modules are registered.
"""

from collections.abc import Callable

import torch
import torch.nn as nn
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.fusion import fuse_conv_bn_eval


@torch.no_grad()
def fuse_norms(model: nn.Module, run: Callable[[], object]) -> int:
    """Fold batch norms into their convolutions, in place; the number of norms folded.

    A norm stays where its input is no convolution's output, or where the
    convolution runs more than once. ``run`` runs the model, in eval mode, once. A
    convolution whose output is used elsewhere too must not be there.
    """
    producers: dict[int, nn.Conv2d] = {}
    kept_alive: list[Tensor] = []  # so that no id is used twice
    runs: dict[nn.Module, int] = {}
    pairs: dict[_BatchNorm, nn.Conv2d] = {}

    def after_conv(conv: nn.Conv2d, inputs: tuple, output: Tensor) -> None:
        producers[id(output)] = conv
        kept_alive.append(output)
        runs[conv] = runs.get(conv, 0) + 1

    def before_norm(norm: _BatchNorm, inputs: tuple) -> None:
        if id(inputs[0]) in producers:
            pairs[norm] = producers[id(inputs[0])]

    handles = []
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            handles.append(module.register_forward_hook(after_conv))
        elif isinstance(module, _BatchNorm):
            handles.append(module.register_forward_pre_hook(before_norm))
    run()
    for handle in handles:
        handle.remove()
    return _replace(model, {n: c for n, c in pairs.items() if runs[c] == 1})


def _replace(model: nn.Module, pairs: dict[_BatchNorm, nn.Conv2d]) -> int:
    for norm, conv in pairs.items():
        fused = fuse_conv_bn_eval(conv, norm)
        conv.weight, conv.bias = fused.weight, fused.bias
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if child in pairs:
                setattr(module, name, nn.Identity())
    return len(pairs)
