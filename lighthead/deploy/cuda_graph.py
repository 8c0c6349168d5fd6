"""Calls of a function of tensors from CUDA graphs, one graph per shape of the inputs.

A graph replays kernels on fixed addresses: nothing of the function's Python runs again. So each
recording is checked once with other inputs before it is used, and whatever cannot be recorded is
computed as usual.
"""

import contextlib
import threading
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

WARMUP = 3
"""Calls before recording: libraries choose their algorithms and allocate their workspaces."""
GRAPHS = 8
"""Shapes whose recordings are kept."""
RTOL, ATOL = 1e-3, 1e-2
"""How far a replay may be from the function itself, in pixels and scores."""


class Recording(NamedTuple):
    """A graph with the tensors that it reads and writes."""

    replay: Callable[[], object]
    inputs: tuple[Tensor, ...]
    output: Tensor

    def run(self, inputs: tuple[Tensor, ...]) -> Tensor:
        """Replay with these inputs; the answer is overwritten by the next replay."""
        for fixed, values in zip(self.inputs, inputs, strict=True):
            fixed.copy_(values, non_blocking=True)
        self.replay()
        return self.output


class Recorder(Protocol):
    """Makes recordings, and says where they run."""

    def active(self) -> contextlib.AbstractContextManager[None]:
        """Where recordings are made and replayed."""
        ...

    def record(self, function: Callable[..., Tensor], inputs: tuple[Tensor, ...]) -> Recording:
        """Record ``function(*inputs)``, which may not wait for the device."""
        ...


class CudaGraphRecorder:
    """Records and replays on one device, on a stream of its own, with one memory pool.

    Its graphs share the pool: they are never replayed at the same time, and whoever replays one
    copies its output before the next.

    Args:
        device: A CUDA device; without an index, the current one.
    """

    def __init__(self, device: torch.device) -> None:
        index = torch.cuda.current_device() if device.index is None else device.index
        self.device = torch.device('cuda', index)
        self.stream = torch.cuda.Stream(self.device)
        self.pool = torch.cuda.graph_pool_handle()

    @contextlib.contextmanager
    def active(self) -> Iterator[None]:
        """Run on the recorder's device and stream, between what the caller's stream does.

        The caller's device and stream are current again afterwards, also after an error.
        """
        caller = torch.cuda.current_stream(self.device)
        self.stream.wait_stream(caller)
        try:
            with torch.cuda.device(self.device), torch.cuda.stream(self.stream):
                yield
        finally:
            caller.wait_stream(self.stream)

    def record(self, function: Callable[..., Tensor], inputs: tuple[Tensor, ...]) -> Recording:
        """See :class:`Recorder`; to be called within :meth:`active`."""
        inputs = tuple(values.clone() for values in inputs)
        for _ in range(WARMUP):
            function(*inputs)
        graph = torch.cuda.CUDAGraph()
        try:
            # thread_local: what other threads do on the device does not end the recording.
            with torch.cuda.graph(
                graph, pool=self.pool, stream=self.stream, capture_error_mode='thread_local'
            ):
                output = function(*inputs)
        except Exception:
            self.stream = torch.cuda.Stream(self.device)  # the old one may still be recording
            raise
        return Recording(graph.replay, inputs, output)


class RecordedCalls:
    """Calls a function, from recordings of the shapes that come most often.

    Images come in many sizes, and recording costs several calls: so a size that is seen once is
    computed without, and where there is no room for another recording, one gives way only to a
    size that came twice as often.

    A recording that fails, or that answers other inputs differently from the function, is not
    used: a warning is given once, and this size is computed without from then on. Threads may
    share an object: they take turns.

    Args:
        function: Tensors to one tensor, without reading a value on the way.
        recorder: Makes recordings.
        limit: How many recordings to keep.
    """

    def __init__(
        self, function: Callable[..., Tensor], recorder: Recorder, limit: int = GRAPHS
    ) -> None:
        self.function, self.recorder, self.limit = function, recorder, limit
        self.lock = threading.Lock()
        self.calls: Counter[tuple] = Counter()
        self.recordings: dict[tuple, Recording] = {}
        self.refused: set[tuple] = set()

    def __call__(self, *inputs: Tensor) -> Tensor:
        """The function's answer."""
        key = tuple(values.shape for values in inputs)
        with self.lock:
            self.calls[key] += 1
            if key not in self.recordings and self._wants_recording(key):
                self._try_recording(key, inputs)
            if key in self.recordings:
                recording = self.recordings[key]
                answer = torch.empty_like(recording.output)  # allocated on the caller's stream
                with self.recorder.active():
                    return answer.copy_(recording.run(inputs))
        return self.function(*inputs)

    def _wants_recording(self, key: tuple) -> bool:
        if key in self.refused or self.calls[key] < 2:
            return False
        if len(self.recordings) < self.limit:
            return True
        return self.calls[key] >= 2 * self.calls[self._rarest()]

    def _rarest(self) -> tuple:
        return min(self.recordings, key=self.calls.__getitem__)

    def _try_recording(self, key: tuple, inputs: tuple[Tensor, ...]) -> None:
        """Add a recording, and only then drop the rarest where there are too many."""
        try:
            with self.recorder.active():
                recording = self.recorder.record(self.function, inputs)
                reason = '' if self._is_right(recording, inputs) else 'its answer differs'
        except Exception as error:  # CUDA's errors, and the libraries', share no class
            reason = f'{type(error).__name__}: {error}'.splitlines()[0]
        if reason:
            if not self.refused:
                warnings.warn(
                    f'Inputs of shape {tuple(key[0])} cannot be run as a CUDA graph ({reason}): '
                    'they are computed without, which is slower.',
                    RuntimeWarning,
                    stacklevel=3,
                )
            self.refused.add(key)
            return
        if len(self.recordings) >= self.limit:
            del self.recordings[self._rarest()]
        self.recordings[key] = recording

    def _is_right(self, recording: Recording, inputs: tuple[Tensor, ...]) -> bool:
        """Whether a replay with other inputs gives the function's answer for them."""
        first, *rest = inputs
        others = (first.flip(-1) * -0.5 + 0.25, *rest)
        recording.output.fill_(float('nan'))  # an empty graph would leave the first answer
        answer = recording.run(others).clone()
        return torch.allclose(answer, self.function(*others), rtol=RTOL, atol=ATOL)
