"""ShuffleNetV2's weights in ShuffleNetV2*, without loss.

ShuffleNetV2* has one more depthwise convolution and norm in each unit. With a
Dirac kernel and a norm that changes nothing, in training neither
(:mod:`lighthead.weights.identity_norm`), it computes what ShuffleNetV2
computes.
"""

from collections.abc import Iterable

import torch
import torch.nn as nn
from torch.nn.modules.batchnorm import _BatchNorm

from lighthead.weights.identity_norm import make_identity

PART = 'star'
"""Name of the added layers in a unit: ``stage2.0.star.conv`` and ``stage2.0.star.bn``."""


def star_names(names: Iterable[str]) -> list[str]:
    """Those of the names that belong to the added layers."""
    return [name for name in names if PART in name.split('.')]


@torch.no_grad()
def set_to_identity(network: nn.Module) -> None:
    """Make every added layer pass its input on unchanged."""
    for name, module in network.named_modules():
        if PART not in name.split('.'):
            continue
        if isinstance(module, nn.Conv2d):
            nn.init.dirac_(module.weight, groups=module.groups)
        elif isinstance(module, _BatchNorm):
            make_identity(module)
