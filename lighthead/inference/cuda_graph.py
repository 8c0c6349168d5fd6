"""A function of tensors recorded as CUDA graphs, one per shape."""

from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

WARMUP = 3
"""Calls before recording: libraries choose their algorithms and take their workspaces."""
GRAPHS = 8
"""Shapes whose recordings are kept; each holds the memory of its intermediate results."""


class Recording(NamedTuple):
    """A graph with the tensors that it reads and writes."""

    replay: Callable[[], None]
    inputs: tuple[Tensor, ...]
    output: Tensor


def record_cuda_graph(function: Callable[..., Tensor], inputs: tuple[Tensor, ...]) -> Recording:
    """Record ``function(*inputs)``, which may not wait for the device."""
    inputs = tuple(values.clone() for values in inputs)
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(WARMUP):
            function(*inputs)
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        output = function(*inputs)
    return Recording(graph.replay, inputs, output)


class RecordedCalls:
    """Calls a function, from a recording where the shapes come a second time.

    Pictures come in many sizes, and recording costs several calls: so a size that
    is seen once is just computed.

    Args:
        function: Tensors to one tensor, without reading a value on the way.
        record: Makes a recording.
        limit: How many recordings to keep; the one that was not used for longest goes.
    """

    def __init__(
        self,
        function: Callable[..., Tensor],
        record: Callable[..., Recording] = record_cuda_graph,
        limit: int = GRAPHS,
    ) -> None:
        self.function, self.record, self.limit = function, record, limit
        self.recordings: OrderedDict[tuple, Recording | None] = OrderedDict()

    def __call__(self, *inputs: Tensor) -> Tensor:
        """The function's answer, valid until the next call."""
        key = tuple(values.shape for values in inputs)
        if key not in self.recordings:
            self._remember(key, None)
            return self.function(*inputs)
        recording = self.recordings.pop(key) or self.record(self.function, inputs)
        self._remember(key, recording)
        for own, values in zip(recording.inputs, inputs, strict=True):
            own.copy_(values, non_blocking=True)
        recording.replay()
        return recording.output

    def _remember(self, key: tuple, recording: Recording | None) -> None:
        self.recordings[key] = recording
        while len(self.recordings) > self.limit:
            self.recordings.popitem(last=False)
