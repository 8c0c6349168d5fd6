"""Megvii's ShuffleNetV2 (its authors' release) under the names and in the channel order used here.

Here, as in torchvision, a unit halves its input, and shuffles after the concatenation. Megvii's
unit takes the even channels aside and transforms the odd ones, and does not shuffle. Both are one
network, up to the order of the channels. Let a unit have C channels and H = C / 2.

* A Megvii channel is computed at a position p in [H, C), the output of
  ``branch_main``. A unit halves the position while it is even, and consumes
  the channel when it is odd.
* Here, it is computed at an odd position (the shuffle puts branch2 there). A
  unit doubles the position while it is below H, and consumes the channel when
  it is in [H, C).

Every odd number has exactly one multiple by a power of two in [H, C), so a
channel which Megvii has at ``2**(v - k) * odd`` is at ``2**k * odd`` here,
where ``2**v * odd`` is in [H, C). Position 0 stays at 0. This
is the same at every point of a stage, and its own inverse: stage outputs relate
by ``here[:, i] == megvii[:, order[i]]`` (``channel_order``), conv5's are equal.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

from torch import Tensor

from lighthead.weights.channel_order import channel_order

UNIT = re.compile(r'features\.(\d+)\.branch_(main|proj)\.(\d+)\.(\w+)$')


class Place(NamedTuple):
    """Stage and block of a unit of Megvii's flat list, and the order of its channels."""

    stage: int
    block: int
    entry: list[int]
    """Order of the channels that enter the unit's branches."""
    exits: dict[str, list[int]]
    """Order of the channels that leave branch1 and branch2."""


def convert(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors under the names and in the channel order used here."""
    places = _places(state_dict)
    converted = {}
    for name, tensor in state_dict.items():
        match = UNIT.match(name)
        if match:
            place, layer = places[int(match[1])], int(match[3])
            branch = 'branch1' if match[2] == 'proj' else 'branch2'
            key = f'stage{place.stage}.{place.block}.{branch}.{layer}.{match[4]}'
            converted[key] = _reorder(tensor, place, branch, layer)
        elif name.startswith('first_conv.'):
            converted[f'conv1.{name.removeprefix("first_conv.")}'] = tensor
        elif name.startswith('conv_last.'):
            if tensor.dim() == 4:
                tensor = tensor[:, channel_order(tensor.shape[1])]
            converted[f'conv5.{name.removeprefix("conv_last.")}'] = tensor
        else:
            converted[name] = tensor
    return converted


def _places(state_dict: Mapping[str, Tensor]) -> dict[int, Place]:
    count = 1 + max(int(match[1]) for match in map(UNIT.match, state_dict) if match)
    places: dict[int, Place] = {}
    stage, block = 1, 0
    order = list(range(len(state_dict['first_conv.0.weight'])))
    for index in range(count):
        main = state_dict[f'features.{index}.branch_main.5.weight']
        proj = state_dict.get(f'features.{index}.branch_proj.2.weight')
        if proj is None:
            block += 1
            half = len(order) // 2
            entry = [(position - 1) // 2 for position in order[half:]]
        else:
            stage, block, entry = stage + 1, 0, order
            order = channel_order(len(main) + len(proj))
            half = len(order) // 2
        exits = dict(branch1=order[0::2], branch2=[position - half for position in order[1::2]])
        if proj is not None and len(proj) != len(main):
            # the network itself orders these channels (AuthorsShuffleNetV2)
            exits = dict(branch1=list(range(len(proj))), branch2=list(range(len(main))))
        places[index] = Place(stage, block, entry, exits)
    return places


def _reorder(tensor: Tensor, place: Place, branch: str, layer: int) -> Tensor:
    """A layer's tensor with its outputs, and a pointwise weight with its inputs, reordered.

    branch1 is dw 0, BN 1, pw 2, BN 3; branch2 is pw 0, BN 1, dw 3, BN 4, pw 5, BN 6.
    """
    if tensor.dim() == 0:
        return tensor
    last, mixing = (2, 2) if branch == 'branch1' else (5, 0)
    if branch == 'branch1' and layer < last:
        return tensor[place.entry]
    if layer == mixing and tensor.dim() == 4:
        tensor = tensor[:, place.entry]
    return tensor[place.exits[branch]] if layer >= last else tensor
