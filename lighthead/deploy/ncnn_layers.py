"""The layers of exported ncnn networks: which options they may have, and what comes out of them."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from lighthead.deploy.ncnn_names import IMAGES, POOLED
from lighthead.ncnn_format import ARRAY, Layer

MAX_CHANNELS = 65_536
REST = -233
"""ncnn's size of a slice that gets what is left."""
LEAKY = 2
"""Number of the leaky activation."""
VECTOR = (-1, -1)
"""Stride of what is no map."""
ONE_PLACE = (0, 0)
"""Stride of a map of 1 x 1."""


class Blob(NamedTuple):
    """What lies between layers: channels, and the stride (y, x) of a map. Maps of one stride have
    one size, since every convolution keeps the size or divides it, rounded up."""

    channels: int
    stride: tuple[int, int]


LINE = re.compile(
    r'[A-Za-z]+ +[\w./-]{1,200} +\d{1,4} +\d{1,4}( +[\w./-]{1,200})*'
    r'( +-?\d{1,5}=(-?[\d.,e+-]{1,2000}|"1w,1h"))* *',
    re.ASCII,
)
"""What a layer's line may look like: nothing that Python and ncnn would read differently."""
WHOLE = re.compile(r'-?\d{1,10}(,-?\d{1,10})*', re.ASCII)
"""Whole numbers; ncnn takes what has a point or an exponent for another type."""
SLOPE = ARRAY - 10
"""Key of an activation's slope, the one option that is no whole number."""
Follow = Callable[[Layer, list[Blob]], list[Blob]]
"""A layer and its inputs to its outputs; ValueError where they do not fit."""
Bounds = tuple[float, float] | str


def option_faults(layer: Layer) -> Iterator[str]:
    """What is wrong with a layer's options."""
    known = OPTIONS.get(layer.kind)
    if known is None:
        yield f'its layer {layer.kind[:40]!r} is not one that is exported'
        return
    for key, value in layer.options.items():
        if key not in known or not _fits(key, value, known[key]):
            yield f'its layer {layer.name[:40]!r} has the option {key}={value[:40]}'
    if missing := sorted(known.keys() - layer.options.keys() - OPTIONAL):
        yield f'its layer {layer.name[:40]!r} lacks the options {missing}'


def _fits(key: int, value: str, bounds: Bounds) -> bool:
    if isinstance(bounds, str):
        return value == bounds
    if key != SLOPE and not WHOLE.fullmatch(value):
        return False
    if key > ARRAY:
        return bounds[0] <= int(value) <= bounds[1]
    count, *numbers = value.split(',')
    return int(count) == len(numbers) and all(
        bounds[0] <= float(number) <= bounds[1] for number in numbers
    )


def follow(layer: Layer, known: dict[str, Blob]) -> int:
    """Note a layer's outputs among the known blobs.

    Returns:
        How many bytes of weights it reads.

    Raises:
        ValueError, KeyError: its inputs or outputs do not fit.
    """
    if layer.kind == 'Input':
        if layer.outputs not in ([IMAGES], [POOLED]) or layer.inputs:
            raise ValueError('it has other inputs')
        return 0
    outputs = KINDS[layer.kind](layer, [known[name] for name in layer.inputs])
    if len(outputs) != len(layer.outputs) or not all(
        0 < blob.channels <= MAX_CHANNELS for blob in outputs
    ):
        raise ValueError(f'the layer {layer.name[:40]!r} has other outputs')
    if known.keys() & set(layer.outputs):
        raise ValueError(f'the layer {layer.name[:40]!r} computes what is there already')
    known.update(zip(layer.outputs, outputs, strict=True))
    return weight_bytes(layer)


def weight_bytes(layer: Layer) -> int:
    """A tag that says float32, weights and biases."""
    key = {'Convolution': 6, 'ConvolutionDepthWise': 6, 'InnerProduct': 2}.get(layer.kind)
    return 0 if key is None else 4 * (1 + layer.number(key) + layer.number(0))


def _same(layer: Layer, given: list[Blob]) -> list[Blob]:
    (blob,) = given
    return [blob] * len(layer.outputs)


def _one(layer: Layer, given: list[Blob]) -> list[Blob]:
    (blob,) = given
    return [blob]


def _window(layer: Layer, given: list[Blob], keys: tuple[int, int, int]) -> tuple[int, int]:
    """The stride of a map behind a window, whose padding has to keep the size.

    Args:
        keys: Of kernel, stride and padding along x; those along y are ten more.
    """
    ((_, stride),) = given
    if min(stride) < 1:
        raise ValueError(f'the layer {layer.name[:40]!r} gets no map')
    kernel, step, padding = ([layer.number(key + 10), layer.number(key)] for key in keys)
    dilation = [layer.number(12), layer.number(2)] if keys == CONVOLUTION else [1, 1]
    for k, p, d in zip(kernel, padding, dilation, strict=True):
        if 2 * p != d * (k - 1):
            raise ValueError(f'the padding of the layer {layer.name[:40]!r} changes the size')
    return stride[0] * step[0], stride[1] * step[1]


def _convolution(layer: Layer, given: list[Blob]) -> list[Blob]:
    ((channels, stride),) = given
    out, groups = layer.number(0), layer.number(7, 1)
    kernel = layer.number(1) * layer.number(11)
    if channels % groups or out % groups or out * channels // groups * kernel != layer.number(6):
        raise ValueError(f'the layer {layer.name[:40]!r} has not the weights of its channels')
    if layer.number(9) == LEAKY and SLOPE not in layer.options:
        raise ValueError(f'the layer {layer.name[:40]!r} has no slope')
    if stride == ONE_PLACE and kernel == layer.number(3) == layer.number(13) == 1:
        return [Blob(out, stride)]
    return [Blob(out, _window(layer, given, CONVOLUTION))]


def _pooling(layer: Layer, given: list[Blob]) -> list[Blob]:
    return [Blob(given[0].channels, _window(layer, given, POOLING))]


def _fully_connected(layer: Layer, given: list[Blob]) -> list[Blob]:
    ((channels, stride),) = given
    if stride != VECTOR or layer.number(0) * channels != layer.number(2):
        raise ValueError(f'the layer {layer.name[:40]!r} has not the weights of its inputs')
    return [Blob(layer.number(0), VECTOR)]


def _mean(layer: Layer, given: list[Blob]) -> list[Blob]:
    ((channels, stride),) = given
    if min(stride) < 1 or layer.array(3) != [1, 2]:
        raise ValueError(f'the layer {layer.name[:40]!r} takes another mean')
    return [Blob(channels, ONE_PLACE)]


def _slice(layer: Layer, given: list[Blob]) -> list[Blob]:
    ((channels, stride),) = given
    *sizes, last = (int(size) for size in layer.array(0))
    if last != REST or any(size <= 0 for size in sizes) or min(stride) < 1:
        raise ValueError(f'the layer {layer.name[:40]!r} has other slices')
    return [Blob(size, stride) for size in (*sizes, channels - sum(sizes))]


def _concatenation(layer: Layer, given: list[Blob]) -> list[Blob]:
    (stride,) = {blob.stride for blob in given}
    if min(stride) < 1:
        raise ValueError(f'the layer {layer.name[:40]!r} gets no maps')
    return [Blob(sum(blob.channels for blob in given), stride)]


def _sum(layer: Layer, given: list[Blob]) -> list[Blob]:
    first, second = given
    if first.channels != second.channels or second.stride not in (first.stride, ONE_PLACE):
        raise ValueError(f'the layer {layer.name[:40]!r} adds what does not fit')
    return [first]


def _resize(layer: Layer, given: list[Blob]) -> list[Blob]:
    first, like = given
    if min(*first.stride, *like.stride) < 1:
        raise ValueError(f'the layer {layer.name[:40]!r} gets no maps')
    return [Blob(first.channels, like.stride)]


CONVOLUTION = (1, 3, 4)
POOLING = (1, 2, 3)
"""Keys of kernel, stride and padding along x."""
KINDS: Mapping[str, Follow] = {
    'Convolution': _convolution,
    'ConvolutionDepthWise': _convolution,
    'InnerProduct': _fully_connected,
    'Pooling': _pooling,
    'Split': _same,
    'ReLU': _one,
    'Reduction': _mean,
    'Slice': _slice,
    'Concat': _concatenation,
    'BinaryOp': _sum,
    'Interp': _resize,
}
_CONVOLUTION: Mapping[int, Bounds] = {
    0: (1, MAX_CHANNELS), 1: (1, 31), 11: (1, 31), 2: (1, 8), 12: (1, 8), 3: (1, 4), 13: (1, 4),
    4: (0, 31), 14: (0, 31), 5: '1', 6: (1, 2**31 - 1), 9: (0, 2), SLOPE: (-1, 1),
}  # fmt: skip
OPTIONS: Mapping[str, Mapping[int, Bounds]] = {
    'Input': {},
    'Convolution': _CONVOLUTION,
    'ConvolutionDepthWise': {**_CONVOLUTION, 7: (1, MAX_CHANNELS)},
    'InnerProduct': {0: (1, MAX_CHANNELS), 1: '1', 2: (1, 2**31 - 1), 9: (0, 1)},
    'Pooling': {
        0: '0', 1: (1, 8), 11: (1, 8), 2: (1, 4), 12: (1, 4), 3: (0, 4), 13: (0, 4), 5: '1',
    },
    'Split': {},
    'ReLU': {},
    'Reduction': {0: '3', 1: '0', ARRAY - 3: (1, 2), 4: '1', 5: '1'},
    'Slice': {ARRAY: (REST, MAX_CHANNELS), 1: '0'},
    'Concat': {0: '0'},
    'BinaryOp': {0: '0'},
    'Interp': {0: '2', 5: '1', 6: '0', 9: '"1w,1h"'},
}  # fmt: skip
"""Options of each kind of layer with their bounds, or the only value that they may have."""
OPTIONAL = {9, SLOPE}
"""Activations; all other options have to be there."""
