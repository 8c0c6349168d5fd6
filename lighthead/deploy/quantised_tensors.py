"""Which convolutions and which tensors of a detector's ONNX graph INT8 quantises for OpenVINO.

In float stay the RPN's last convolutions, since their deltas are exponentiated and multiplied by
anchors of up to 512 pixels, one step of 8 bits being several pixels; and everything behind the
convolutions: coordinates, PS-RoI align, and the fully connected layers, whose inputs are few (one
row per RoI) and whose outputs are compared with thresholds.

A tensor is quantised where it is computed, before slices, concatenations and pooling, which then
move bytes. What is concatenated shares one scale: nothing has to be converted.
"""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from lighthead.deploy.metadata import dense_names

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

PASSED_THROUGH = ('Concat', 'MaxPool', 'Slice')
"""ONNX operators whose outputs are values of their inputs."""


def producers_of(model: 'ModelProto') -> dict[str, 'NodeProto']:
    """The node that computes each tensor."""
    return {output: node for node in model.graph.node for output in node.output}


def dense_nodes(model: 'ModelProto') -> list['NodeProto']:
    """The nodes that the dense maps are made by, in the graph's order."""
    producers = producers_of(model)
    waiting, seen = dense_names(producers), set()
    while waiting:
        node = producers.get(waiting.pop())
        if node is not None and node.name not in seen:
            seen.add(node.name)
            waiting += node.input
    return [node for node in model.graph.node if node.name in seen]


def quantised_convolutions(model: 'ModelProto') -> list['NodeProto']:
    """The dense convolutions without those that write the RPN's maps."""
    return [
        node
        for node in dense_nodes(model)
        if node.op_type == 'Conv'
        and not any(name.startswith('rpn_') for name in dense_names(node.output))
    ]


def scale_groups(model: 'ModelProto', convolutions: Iterable['NodeProto']) -> dict[str, str]:
    """The tensors to quantise, so that the convolutions read nothing else; tensors with the same
    value share a scale."""
    producers = producers_of(model)
    groups: dict[str, str] = {}
    for node in convolutions:
        sources = sources_of(node.input[0], producers)
        for source in sources:
            groups.setdefault(source, source)
        merged = {groups[source] for source in sources}
        first = min(merged)
        groups = {name: first if group in merged else group for name, group in groups.items()}
    return groups


def sources_of(tensor: str, producers: dict[str, 'NodeProto']) -> Sequence[str]:
    """The tensors whose values a tensor has, behind whatever passes values through."""
    node = producers.get(tensor)
    if node is None or node.op_type not in PASSED_THROUGH:
        return [tensor]
    inputs = node.input if node.op_type == 'Concat' else node.input[:1]
    return [source for name in inputs for source in sources_of(name, producers)]
