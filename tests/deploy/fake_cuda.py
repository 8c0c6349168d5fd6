"""What torch.cuda does for a recording, on a CPU: devices, streams, and graphs of operators."""

import contextlib
from collections.abc import Callable, Iterator

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from lighthead.deploy.cuda_graph import Recording


class CpuRecorder:
    """A recorder without a device: a replay calls the function again, into the same output."""

    def __init__(self) -> None:
        self.shapes: list[tuple] = []

    @contextlib.contextmanager
    def active(self) -> Iterator[None]:
        yield

    def record(self, function: Callable, inputs: tuple) -> Recording:
        self.shapes.append(tuple(inputs[0].shape))
        inputs = tuple(values.clone() for values in inputs)
        output = function(*inputs)
        return Recording(lambda: output.copy_(function(*inputs)), inputs, output)


class Operators(TorchDispatchMode):
    """Remembers the operators that run, with their tensors, as a graph does."""

    def __init__(self, calls: list) -> None:
        super().__init__()
        self.calls = calls

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        output = function(*args, **(kwargs or {}))
        self.calls.append((function, args, kwargs or {}, output))
        return output


class FakeGraph:
    """A CUDAGraph: runs its operators again, on the same tensors."""

    def __init__(self) -> None:
        self.calls: list = []

    def replay(self) -> None:
        for function, args, kwargs, output in self.calls:
            output.copy_(function(*args, **kwargs))


class FakeStream:
    """A stream: its device, and the streams that it waited for."""

    def __init__(self, device: torch.device) -> None:
        self.device = torch.device(device)
        self.waited_for: list[FakeStream] = []

    def wait_stream(self, other: 'FakeStream') -> None:
        self.waited_for.append(other)


class FakeCuda:
    """Two devices. ``launch_device`` is where the recorded function's tensors lie: operators that
    run there are captured only by a recording on a stream of that device."""

    def __init__(self, launch_device: int = 0) -> None:
        self.launch_device = launch_device
        self.index = 0
        self.current = {index: FakeStream(f'cuda:{index}') for index in (0, 1)}
        self.default = dict(self.current)
        self.pools: list = []
        self.captured_on: list[FakeStream] = []
        self.capturing = False

    def install(self, monkeypatch) -> 'FakeCuda':
        replacements = dict(
            current_device=lambda: self.index,
            current_stream=self.current_stream,
            graph_pool_handle=object,
            Stream=FakeStream,
            CUDAGraph=FakeGraph,
            stream=self.stream,
            device=self.device,
            graph=self.graph,
        )
        for name, value in replacements.items():
            monkeypatch.setattr(torch.cuda, name, value)
        return self

    def is_restored(self) -> bool:
        """Whether device 0 and the default streams are current."""
        return self.index == 0 and self.current == self.default

    def current_stream(self, device: torch.device | None = None) -> FakeStream:
        return self.current[self.index if device is None else torch.device(device).index]

    @contextlib.contextmanager
    def device(self, device: torch.device) -> Iterator[None]:
        before, self.index = self.index, torch.device(device).index
        try:
            yield
        finally:
            self.index = before

    @contextlib.contextmanager
    def stream(self, stream: FakeStream) -> Iterator[None]:
        index, before = self.index, self.current[stream.device.index]
        self.index, self.current[stream.device.index] = stream.device.index, stream
        try:
            yield
        finally:
            self.index, self.current[stream.device.index] = index, before

    @contextlib.contextmanager
    def graph(self, graph, pool, stream, capture_error_mode) -> Iterator[None]:
        """Like torch's, which leaves its stream current when the capture cannot be ended."""
        self.pools.append(pool)
        self.captured_on.append(stream)
        self.index, self.current[stream.device.index] = stream.device.index, stream
        calls = graph.calls if stream.device.index == self.launch_device else []
        self.capturing = True
        try:
            with Operators(calls):
                yield
        except Exception as error:
            raise RuntimeError('operation failed due to a previous error') from error
        finally:
            self.capturing = False
        self.current[stream.device.index] = self.default[stream.device.index]
