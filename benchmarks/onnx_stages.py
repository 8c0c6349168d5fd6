"""Which stage of the detector each node of an exported ONNX file belongs to."""

from collections.abc import Callable

import onnx

from lighthead.deploy.metadata import dense_names

STAGES = (
    'dense part',
    'top-k, boxes of candidates',
    'suppression of candidates',
    'pooling',
    'fully connected layers',
    'boxes and scores',
    'suppression of detections',
)
CONVOLUTIONS = ('Conv', 'Pool', 'Resize', 'Interp', 'Reorder')
"""Kinds of layers that only the dense part has; runtimes make new ones with new names."""


def stages_of(model: onnx.ModelProto) -> Callable[[str, str], str | None]:
    """A function of a runtime's layer, its name and kind, that gives its stage, or None.

    What comes before the dense maps is the dense part; then the order is that of the data: the
    first suppression divides candidates from RoIs, the largest matrix divides pooling from boxes
    and scores, and what reads the thin map alone is pooling.
    """
    finder = _Finder(model)
    stages = {}
    for node in model.graph.node:
        for name in (node.name, *node.output):
            stages[name] = finder.stage(node)
    names = sorted(stages, key=len, reverse=True)

    def stage(name: str, kind: str) -> str | None:
        if name in stages:
            return stages[name]
        if any(word in kind for word in CONVOLUTIONS):
            return STAGES[0]
        return next((stages[known] for known in names if known and known in name), None)

    return stage


class _Finder:
    def __init__(self, model: onnx.ModelProto) -> None:
        nodes = model.graph.node
        self.made_by = {name: node for node in nodes for name in node.output}
        self.sizes = {w.name: _size(w.dims) for w in model.graph.initializer}
        maps = dense_names(self.made_by)
        self.dense: set[str] = set()
        for name in maps:
            self._mark_before(name)
        self.sources: dict[str, frozenset[str]] = {name: frozenset([name]) for name in maps}
        products = [node for node in nodes if node.op_type in ('Gemm', 'MatMul')]
        largest = max(products, key=self._weight)
        suppressions = (node for node in nodes if node.op_type == 'NonMaxSuppression')
        first, second = (node.output[0] for node in suppressions)
        for mark, name in (('rois', first), ('head', largest.output[0]), ('kept', second)):
            self.sources[name] = frozenset([mark])
        self.largest = largest.output[0]
        for node in nodes:
            self._trace(node)

    def _weight(self, node: onnx.NodeProto) -> int:
        return max(self.sizes.get(name, 0) for name in node.input)

    def _mark_before(self, name: str) -> None:
        waiting = [name]
        while waiting:
            node = self.made_by.get(waiting.pop())
            if node is not None and node.output[0] not in self.dense:
                self.dense.update(node.output)
                waiting += node.input

    def _trace(self, node: onnx.NodeProto) -> None:
        """What a node's outputs come from: maps, and marks on the way."""
        before = frozenset().union(*(self.sources.get(name, ()) for name in node.input))
        for name in node.output:
            self.sources[name] = self.sources.get(name, frozenset()) | before

    def stage(self, node: onnx.NodeProto) -> str:
        """The stage of a node."""
        dense, topk, first, pooling, layers, boxes, second = STAGES
        sources = self.sources[node.output[0]]
        if node.output[0] in self.dense:
            return dense
        if node.op_type == 'NonMaxSuppression':
            return second if 'head' in sources else first
        if node.op_type in ('Gemm', 'MatMul') and 'head' in sources and self._weight(node):
            return layers
        if 'kept' in sources:
            return second
        if 'head' in sources:
            return boxes
        return pooling if 'rois' in sources or sources == {'thin_map'} else topk


def _size(dims: list[int]) -> int:
    size = 1
    for side in dims:
        size *= side
    return size
