"""Chains of one convolution of the network as ONNX graphs; convolutions.py times them."""

from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from lighthead.deploy.export_onnx import OPSET

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

CHAINS = (4, 12)
"""Lengths: the difference is the layer's own time, without input and output."""
OPERATORS: dict[str, tuple[str, dict[str, Any]]] = {
    'ReLU': ('Relu', {}),
    'LeakyReLU': ('LeakyRelu', dict(alpha=0.1)),
}


class Layer(NamedTuple):
    """A convolution with as many output as input channels."""

    channels: int
    size: tuple[int, int]
    kernel: tuple[int, int] = (1, 1)
    depthwise: bool = False

    @property
    def shape(self) -> tuple[int, int, int, int]:
        return (1, self.channels, *self.size)

    @property
    def inputs(self) -> int:
        """Input channels of an output channel."""
        return 1 if self.depthwise else self.channels

    @property
    def macs(self) -> int:
        return prod((self.channels, *self.size, *self.kernel, self.inputs))

    def __str__(self) -> str:
        kind = 'depthwise ' if self.depthwise else ''
        (height, width), (tall, wide) = self.size, self.kernel
        return f'{kind}{tall} x {wide}, {self.channels} channels, {height} x {width}'


LAYERS = (
    Layer(58, (100, 152)),
    Layer(116, (50, 76)),
    Layer(232, (25, 38)),
    Layer(256, (50, 76), (3, 3)),
    Layer(256, (25, 38), (1, 15)),
    Layer(58, (100, 152), (3, 3), depthwise=True),
    Layer(116, (50, 76), (3, 3), depthwise=True),
    Layer(232, (25, 38), (3, 3), depthwise=True),
)
"""Of ShuffleNetV2* 1x at 800 x 1216, its RPN and its separable convolution."""


def chain(layer: Layer, length: int, activation: str) -> 'ModelProto':
    """So many of a layer, each with bias and activation; the output is called ``thin_map``."""
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(0)
    kind, attributes = OPERATORS[activation]
    geometry: dict[str, Any] = dict(
        pads=[side // 2 for side in layer.kernel] * 2,
        group=layer.channels if layer.depthwise else 1,
    )
    shape = (layer.channels, layer.inputs, *layer.kernel)
    nodes: list[NodeProto] = []
    constants, last = [], 'images'
    for index in range(length):
        weights = rng.standard_normal(shape) * (2 / prod(shape[1:])) ** 0.5
        bias = rng.standard_normal(layer.channels) * 0.1
        names = [f'weight{index}', f'bias{index}']
        for name, values in zip(names, (weights, bias), strict=True):
            constants.append(numpy_helper.from_array(values.astype(np.float32), name))
        conv, last = f'conv{index}', f'map{index}' if index + 1 < length else 'thin_map'
        reads = [nodes[-1].output[0] if nodes else 'images', *names]
        nodes.append(helper.make_node('Conv', reads, [conv], name=conv, **geometry))
        nodes.append(helper.make_node(kind, [conv], [last], name=f'act{index}', **attributes))
    entries = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, layer.shape)
        for name in ('images', last)
    ]
    graph = helper.make_graph(nodes, 'chain', entries[:1], entries[1:], constants)
    opset = [helper.make_opsetid('', OPSET)]
    return helper.make_model(graph, opset_imports=opset, ir_version=10)
