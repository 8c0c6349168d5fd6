"""ShuffleNetV2's weights in ShuffleNetV2*, without loss.

ShuffleNetV2* has one more depthwise convolution and norm in each unit. With a
Dirac kernel and a norm that changes nothing, it computes what ShuffleNetV2
computes. In training mode a norm uses the batch's statistics, so this holds
for evaluation, and for training with ``norm_eval=True``.
"""

from collections.abc import Iterable

import torch
import torch.nn as nn

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
        elif isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.reset_parameters()
            # (x - 0) / sqrt(var + eps) is x itself
            module.running_var.fill_(1 - module.eps)
