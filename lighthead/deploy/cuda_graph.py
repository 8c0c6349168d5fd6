"""A function of tensors recorded as CUDA graphs, one per shape."""

from collections import Counter
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
    """Calls a function, from recordings of the shapes that come most often.

    Pictures come in many sizes, and recording costs several calls: so a size that
    is seen once is just computed, and where there is no room for another
    recording, one gives way only to a size that came twice as often.

    Args:
        function: Tensors to one tensor, without reading a value on the way.
        record: Makes a recording.
        limit: How many recordings to keep.
    """

    def __init__(
        self,
        function: Callable[..., Tensor],
        record: Callable[..., Recording] = record_cuda_graph,
        limit: int = GRAPHS,
    ) -> None:
        self.function, self.record, self.limit = function, record, limit
        self.seen: Counter[tuple] = Counter()
        self.recordings: dict[tuple, Recording] = {}

    def __call__(self, *inputs: Tensor) -> Tensor:
        """The function's answer, valid until the next call."""
        key = tuple(values.shape for values in inputs)
        self.seen[key] += 1
        if key not in self.recordings:
            if not self._has_room(self.seen[key]):
                return self.function(*inputs)
            self.recordings[key] = self.record(self.function, inputs)
        recording = self.recordings[key]
        for own, values in zip(recording.inputs, inputs, strict=True):
            own.copy_(values, non_blocking=True)
        recording.replay()
        return recording.output

    def _has_room(self, count: int) -> bool:
        """Whether a shape that came ``count`` times is recorded; drops a recording for it."""
        if count < 2:
            return False
        if len(self.recordings) < self.limit:
            return True
        rarest = min(self.recordings, key=self.seen.__getitem__)
        if count < 2 * self.seen[rarest]:
            return False
        del self.recordings[rarest]
        return True
