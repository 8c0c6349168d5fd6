"""The measuring core: warm-up, alternating rounds, every call timed.

Competitors are timed in turn, round after round, so that all of them see the same drift of
the machine (clock, heat, neighbours). The order is reversed every other round. On a GPU the
times are those of CUDA events on the stream of the device that is measured, on a CPU the
wall clock's.
"""

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import torch

WIDE_SPREAD = 0.25
"""A spread (p90 - p10) / median above this is reported as too wide."""
FEWEST_CALLS = 3
"""Fewer calls have no spread to speak of."""

Progress = Callable[[str, float], None]
"""Called after each step with the workload's key and the share done."""


@dataclass(frozen=True)
class Workload:
    """Something to be timed: one call handles ``items`` images."""

    key: str
    call: Callable[[], object]
    items: int = 1


@dataclass(frozen=True)
class Plan:
    """How long to measure.

    Attributes:
        min_time: Seconds of measuring per workload; one call per round at the least.
        warmup: Calls before anything counts.
        budget: Seconds for all workloads of one group; rounds that don't fit are left out.
    """

    min_time: float = 2.0
    rounds: int = 10
    warmup: int = 3
    budget: float | None = None


@dataclass
class Timing:
    """The seconds that each call of a workload took, by round."""

    key: str
    items: int
    rounds: list[list[float]] = field(default_factory=list)

    @property
    def samples(self) -> np.ndarray:
        """All calls, in seconds."""
        return np.concatenate([np.asarray(times) for times in self.rounds])

    @property
    def median(self) -> float:
        """Median seconds per call."""
        return float(np.median(self.samples))

    @property
    def p10(self) -> float:
        """The call that is faster than 90 % of them, in seconds."""
        return float(np.quantile(self.samples, 0.1))

    @property
    def p90(self) -> float:
        """The call that is slower than 90 % of them, in seconds."""
        return float(np.quantile(self.samples, 0.9))

    @property
    def spread(self) -> float:
        """(p90 - p10) / median."""
        return (self.p90 - self.p10) / self.median

    @property
    def is_wide(self) -> bool:
        """Whether the spread is too wide, or the calls are too few, to trust the median."""
        return self.spread > WIDE_SPREAD or len(self.samples) < FEWEST_CALLS

    @property
    def items_per_second(self) -> float:
        """Images per second, of the median call."""
        return self.items / self.median

    @property
    def round_medians(self) -> np.ndarray:
        """Median seconds per call in each round, shape (rounds,)."""
        return np.asarray([np.median(times) for times in self.rounds])


@dataclass
class Timings:
    """What a group of workloads took; incomplete after Ctrl-C."""

    by_key: dict[str, Timing]
    interrupted: bool = False


def measure(
    workloads: Sequence[Workload],
    plan: Plan,
    device: torch.device,
    on_step: Progress = lambda key, done: None,
) -> Timings:
    """Time the workloads in alternating rounds, with the clock of ``device``.

    Returns:
        The timings of every workload that was measured at least once; Ctrl-C ends the
        measurement and keeps them.
    """
    timings = {work.key: Timing(work.key, work.items) for work in workloads}
    started = time.perf_counter()
    interrupted = False
    try:
        calls = {}
        for index, work in enumerate(workloads):
            calls[work.key] = _warm_up(work, plan, device)
            on_step(work.key, 0.2 * (index + 1) / len(workloads))
        for index in _rounds_in_budget(plan, started):
            order = workloads if index % 2 == 0 else workloads[::-1]
            for place, work in enumerate(order):
                timings[work.key].rounds.append(time_calls(work.call, calls[work.key], device))
                on_step(work.key, 0.2 + 0.8 * (index + (place + 1) / len(order)) / plan.rounds)
    except KeyboardInterrupt:
        interrupted = True
    on_step('', 1.0)
    return Timings({key: t for key, t in timings.items() if t.rounds}, interrupted)


def _warm_up(work: Workload, plan: Plan, device: torch.device) -> int:
    """Run a workload a few times; how many calls fill its share of a round."""
    times = [time_calls(work.call, 1, device)[0] for _ in range(max(1, plan.warmup))]
    return max(1, round(plan.min_time / plan.rounds / max(min(times), 1e-7)))


def _rounds_in_budget(plan: Plan, started: float) -> Iterator[int]:
    """Numbers of the rounds, until another one would not fit into the budget."""
    longest = 0.0
    for index in range(plan.rounds):
        begin = time.perf_counter()
        yield index
        now = time.perf_counter()
        longest = max(longest, now - begin)
        if plan.budget is not None and now - started + longest > plan.budget:
            break


def time_calls(call: Callable[[], object], count: int, device: torch.device) -> list[float]:
    """Seconds of each of ``count`` calls in a row."""
    synchronise(device)
    with on_device(device):
        marks = [mark(device)]
        for _ in range(count):
            call()
            marks.append(mark(device))
    synchronise(device)
    return [seconds_between(*pair) for pair in itertools.pairwise(marks)]


def on_device(device: torch.device) -> torch.cuda.device | nullcontext:
    """Make a CUDA device the current one, so that its streams and its events are used."""
    return torch.cuda.device(device) if device.type == 'cuda' else nullcontext()


def synchronise(device: torch.device) -> None:
    """Wait until a CUDA device has done all that it was given."""
    if device.type == 'cuda':
        torch.cuda.synchronize(device)


Mark: TypeAlias = float | torch.cuda.Event
"""A point in time: seconds, or an event of a CUDA device."""


def mark(device: torch.device) -> Mark:
    """A point in time: seconds, or an event on the current stream of the CUDA device."""
    if device.type != 'cuda':
        return time.perf_counter()
    event = torch.cuda.Event(enable_timing=True)
    event.record(torch.cuda.current_stream(device))
    return event


def seconds_between(begin: Mark, end: Mark) -> float:
    """Seconds from one :func:`mark` to another of the same device, synchronised since."""
    if isinstance(begin, float):
        assert isinstance(end, float)
        return end - begin
    assert not isinstance(end, float)
    return begin.elapsed_time(end) / 1e3


@contextmanager
def intra_op_threads(count: int) -> Iterator[None]:
    """Let torch compute with ``count`` threads for a while."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
