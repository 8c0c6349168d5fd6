"""timm's MobileNet v2 under torchvision's names; the two are one network (arXiv 1801.04381)."""

import re
from collections.abc import Mapping

from torch import Tensor

LAYER = re.compile(r'blocks\.(\d+)\.(\d+)\.(\w+?)\.(\w+)$')
FIRST = {'conv_dw': 'conv.0.0', 'bn1': 'conv.0.1', 'conv_pw': 'conv.1', 'bn2': 'conv.2'}
"""Layers of the first block, which does not expand its input."""
OTHERS = {
    'conv_pw': 'conv.0.0',
    'bn1': 'conv.0.1',
    'conv_dw': 'conv.1.0',
    'bn2': 'conv.1.1',
    'conv_pwl': 'conv.2',
    'bn3': 'conv.3',
}
"""Layers of the blocks that expand, filter and project."""


def convert(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors under torchvision's names, ``features.<i>``; names it does not know stay."""
    blocks = sorted(
        {(int(match[1]), int(match[2])) for match in map(LAYER.match, state_dict) if match}
    )
    last = len(blocks) + 1
    ends = {'conv_stem': '0.0', 'bn1': '0.1', 'conv_head': f'{last}.0', 'bn2': f'{last}.1'}
    converted = {}
    for name, tensor in state_dict.items():
        match = LAYER.match(name)
        layer, _, field = name.partition('.')
        if match:
            index = 1 + blocks.index((int(match[1]), int(match[2])))
            part = (FIRST if index == 1 else OTHERS).get(match[3])
            name = f'features.{index}.{part}.{match[4]}' if part else name
        elif layer in ends:
            name = f'features.{ends[layer]}.{field}'
        converted[name] = tensor
    return converted
