"""Megvii's ShuffleNet v1 (its authors' release) under the names and in the channel order used here.

Both units are 1x1 in g groups, 3x3 depthwise, 1x1 in g groups (arXiv 1707.01083, Figure 2). Here
channels are shuffled before the depthwise convolution, which moves input channel a C / g + b
(the b-th of group a) to b g + a. Megvii shuffles after it, and the inverse way: input channel
b g + a goes to a C / g + b. Either way, the second 1x1 convolution's group k reads some
channels of each group a of the first. Where both read equally many for every pair (a, k), which
holds for three groups whatever C is, the two are one network up to the order of the C channels in
a unit: a first convolution may permute its outputs within a group, a second one its inputs.
Unit outputs keep their order.
"""

import re
from collections import defaultdict
from collections.abc import Mapping

import torch
from torch import Tensor

from lighthead.errors import UserError

UNIT = re.compile(r'features\.(\d+)\.branch_main_([12])\.(\d+)\.(\w+)$')
GROUPS = 3
PARTS = {
    # (branch, layer) -> layer here
    ('1', 0): 'compress.0',
    ('1', 1): 'compress.1',
    ('1', 3): 'depthwise.0',
    ('1', 4): 'depthwise.1',
    ('2', 0): 'expand.0',
    ('2', 1): 'expand.1',
}


def convert(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors under the names and in the channel order used here.

    Raises:
        UserError: the network has another number of groups than three.
    """
    places = _places(state_dict)
    converted = {}
    for name, tensor in state_dict.items():
        match = UNIT.match(name)
        if match:
            part = PARTS[match[2], int(match[3])]
            converted[f'{places[int(match[1])]}.{part}.{match[4]}'] = _reorder(tensor, part)
        elif name.startswith('first_conv.'):
            converted[f'conv1.{name.removeprefix("first_conv.")}'] = tensor
        else:
            converted[name] = tensor
    return converted


def middle_orders(channels: int) -> tuple[list[int], list[int], list[int]]:
    """For each channel of a unit's middle, here, Megvii's: as the first 1x1 convolution writes it,
    as the depthwise one does, and as the second 1x1 convolution reads it."""
    size = channels // GROUPS
    shuffled = [a * size + b for b in range(size) for a in range(GROUPS)]
    megvii = [b * GROUPS + a for a in range(GROUPS) for b in range(size)]
    waiting = defaultdict(list)
    for place, source in enumerate(megvii):
        waiting[source // size, place // size].append(place)
    written, read = [0] * channels, []
    for place, source in enumerate(shuffled):
        read.append(waiting[source // size, place // size].pop(0))
        written[source] = megvii[read[-1]]
    return written, [megvii[place] for place in read], read


def _places(state_dict: Mapping[str, Tensor]) -> dict[int, str]:
    """Stage and block of each unit, as ``stage2.0``; a stage begins where the width changes."""
    places: dict[int, str] = {}
    stage, block, before = 1, 0, 0
    for index in range(1 + max(int(match[1]) for match in map(UNIT.match, state_dict) if match)):
        middle = len(state_dict[f'features.{index}.branch_main_1.0.weight'])
        groups = middle // state_dict[f'features.{index}.branch_main_2.0.weight'].shape[1]
        if groups != GROUPS:
            raise UserError(
                f'Weights of ShuffleNet v1 with {groups} groups do not fit: take those of {GROUPS}.'
            )
        stage, block = (stage, block + 1) if middle == before else (stage + 1, 0)
        places[index], before = f'stage{stage}.{block}', middle
    return places


def _reorder(tensor: Tensor, part: str) -> Tensor:
    if tensor.dim() == 0 or part == 'expand.1':
        return tensor
    if part != 'expand.0':
        written, depthwise, _ = middle_orders(len(tensor))
        return tensor[written if part.startswith('compress') else depthwise]
    size = tensor.shape[1]
    read = middle_orders(GROUPS * size)[2]
    blocks = [
        block[:, [place % size for place in read[k * size : (k + 1) * size]]]
        for k, block in enumerate(tensor.chunk(GROUPS))
    ]
    return torch.cat(blocks)
