"""Channels of similar range, so that 8 bits serve all of them.

Between two convolutions with nothing but a ReLU or LeakyReLU between them, each channel may be
divided by a number in the first and multiplied by it in the second: the network stays the same.
The rule is that of "Data-Free Quantization Through Weight Equalization and Bias Correction"
(arXiv 1906.04721, section 4.1), with ranges that images have shown. Behind a depthwise convolution
a tensor's channels differ most; before one they cost nothing to change, since its weights have a
scale per channel.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from lighthead.deploy.observe import Feeds, observe
from lighthead.deploy.quantised_tensors import quantised_convolutions

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

HOMOGENEOUS = ('LeakyRelu', 'Relu')
"""ONNX operators that a positive factor passes through."""
LEAST = 1e-3
"""Smaller channels, as a share of the largest, count as this large."""


class Pair(NamedTuple):
    """Two convolutions, and the tensor between them that the second alone reads."""

    first: 'NodeProto'
    tensor: str
    second: 'NodeProto'

    @property
    def to_depthwise(self) -> bool:
        return any(entry.name == 'group' and entry.i > 1 for entry in self.second.attribute)


def pairs_of(model: 'ModelProto') -> Iterator[Pair]:
    """The pairs of quantised convolutions whose common channels may be scaled."""
    readers: dict[str, list[NodeProto | None]] = defaultdict(list)
    for node in model.graph.node:
        for name in node.input:
            readers[name].append(node)
    for output in model.graph.output:
        readers[output.name].append(None)
    convolutions = quantised_convolutions(model)
    names = {node.name for node in convolutions}
    for first in convolutions:
        tensor = first.output[0]
        match readers[tensor]:
            case [node] if node and node.op_type in HOMOGENEOUS:
                tensor = node.output[0]
        match readers[tensor]:
            case [second] if second and second.name in names:
                yield Pair(first, tensor, second)


def equalise(model: 'ModelProto', inputs: Feeds) -> None:
    """Scale the channels between pairs of convolutions of a graph in float32, in place, by what
    they hold on typical inputs."""
    from onnx import numpy_helper

    pairs = list(pairs_of(model))
    entries = {entry.name: entry for entry in model.graph.initializer}
    seen = observe(model, [pair.tensor for pair in pairs], inputs)

    def scale(name: str, factors: np.ndarray) -> None:
        values = numpy_helper.to_array(entries[name]) * factors
        entries[name].CopyFrom(numpy_helper.from_array(values.astype(np.float32), name))

    for alike in with_shared_weights(model, pairs):
        first, _, second = pair = alike[0]
        weights = np.abs(numpy_helper.to_array(entries[second.input[1]])).max(axis=(0, 2, 3))
        peaks = np.max([seen[one.tensor].peaks for one in alike], axis=0)
        factors = factors_of(peaks, None if pair.to_depthwise else weights)
        scale(first.input[1], 1 / factors[:, None, None, None])
        for bias in first.input[2:]:
            scale(bias, 1 / factors)
        shape = (-1, 1, 1, 1) if pair.to_depthwise else (1, -1, 1, 1)
        scale(second.input[1], factors.reshape(shape))


def with_shared_weights(model: 'ModelProto', pairs: Iterable[Pair]) -> list[list[Pair]]:
    """The pairs, those with the same weights together, as the levels of a pyramid have them; none
    whose weights are used elsewhere too."""
    uses = Counter(name for node in model.graph.node for name in node.input)
    together: dict[tuple[str, ...], list[Pair]] = defaultdict(list)
    for pair in pairs:
        together[(*pair.first.input[1:], pair.second.input[1])].append(pair)
    return [
        alike
        for names, alike in together.items()
        if all(uses[name] == len(alike) for name in names)
    ]


def factors_of(peaks: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
    """By what to divide each channel (C,): its range, against that of the weights (C,) that read
    it unless these have a scale for each channel. Their geometric mean is one."""
    logs = _logs(peaks)
    if weights is not None:
        logs = (logs - _logs(weights)) / 2
    return np.exp(logs - logs.mean())


def _logs(values: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(values, LEAST * (values.max() or 1.0)))
