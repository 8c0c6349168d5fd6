"""The two ways in which ShuffleNetV2's weights are written, and the way between them.

torchvision (ours): a unit halves its input, and shuffles after the concat.
Megvii (the authors' release): a unit takes the even channels aside and
transforms the odd ones, and does not shuffle. Both are one network, up to the
order of the channels. Let a unit have C channels and H = C / 2.

* A Megvii channel is born at a position p in [H, C), the output of
  ``branch_main``. A unit halves the position while it is even, and consumes
  the channel when it is odd.
* In ours, it is born at an odd position (the shuffle puts branch2 there). A
  unit doubles the position while it is below H, and consumes the channel when
  it is in [H, C).

Every odd number has exactly one multiple by a power of two in [H, C), so a
channel which Megvii has at ``2**(v - k) * odd`` is the one that we have at
``2**k * odd``, where ``2**v * odd`` lies in [H, C). Position 0 stays at 0. This
is the same at every point of a stage, and its own inverse: stage outputs relate
by ``ours[:, i] == megvii[:, order[i]]`` (``channel_order``), conv5's are equal.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

from torch import Tensor

from lighthead.weights.channel_order import channel_order

TORCHVISION, MEGVII, OTHER = 'torchvision', 'megvii', 'other'
MARKS = {
    # layout -> names which only it has
    TORCHVISION: ('conv1.0.weight', 'stage2.0.branch1.0.weight', 'stage2.0.branch2.0.weight'),
    MEGVII: ('first_conv.0.weight', 'features.0.branch_main.0.weight'),
}
STAGE4_WIDTHS = {192: 0.5, 464: 1.0, 704: 1.5, 976: 2.0}
"""Channels of stage4 and the widen factor that has them (arXiv 1807.11164, Table 5)."""
CLASSIFIERS = ('fc.', 'classifier.', 'head.')
"""Prefixes of tensors that belong to a classifier, which no backbone has."""
UNIT = re.compile(r'features\.(\d+)\.branch_(main|proj)\.(\d+)\.(\w+)$')


def recognise(state_dict: Mapping[str, Tensor]) -> str:
    """The layout of a backbone's tensors: 'torchvision', 'megvii' or 'other'."""
    for layout, names in MARKS.items():
        if all(name in state_dict for name in names):
            return layout
    return OTHER


def seeming_width(state_dict: Mapping[str, Tensor]) -> float | None:
    """The widen factor of ShuffleNetV2 whose stage4 the tensors (our names) fit, if any."""
    last = state_dict.get('stage4.1.branch2.0.weight')
    return None if last is None else STAGE4_WIDTHS.get(2 * len(last))


class Place(NamedTuple):
    """Where a unit of Megvii's flat list stands in ours."""

    stage: int
    block: int
    entry: list[int]
    """Order of the channels that enter the unit's branches."""
    exits: dict[str, list[int]]
    """Order of the channels that leave branch1 and branch2."""


def convert(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors under our names and in our channel order, whatever their layout."""
    if recognise(state_dict) != MEGVII:
        return dict(state_dict)
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


def is_paper_entry(state_dict: Mapping[str, Tensor]) -> bool:
    """Whether the first unit of stage2 (our names) divides its channels unequally.

    The authors' code gives branch1 as many channels as the unit has inputs and
    branch2 the rest; torchvision gives each branch half. They differ there and
    at 1x, 1.5x and 2x only: elsewhere the inputs are half the outputs.
    """
    branch1 = state_dict.get('stage2.0.branch1.2.weight')
    branch2 = state_dict.get('stage2.0.branch2.5.weight')
    return branch1 is not None and branch2 is not None and len(branch1) != len(branch2)


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
    """A layer's tensor with its outputs, and a pointwise weight with its inputs, in our order.

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
