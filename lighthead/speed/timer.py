"""The measuring core: warm-up, alternating rounds, every call timed.

Competitors are timed in turn, round after round, so that all of them see the
same drift of the machine (clock, heat, neighbours). The order is reversed every
other round. On a GPU the times are CUDA events', on a CPU the wall clock's.
"""

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import torch

from lighthead.speed.statistics import WIDE_SPREAD

FEWEST_CALLS = 3
"""Fewer calls have no spread to speak of."""


@dataclass(frozen=True)
class Workload:
    """Something to be timed: one call handles ``items`` images."""

    key: str
    call: Callable[[], object]
    items: int = 1


@dataclass(frozen=True)
class Plan:
    """How long to measure."""

    min_time: float = 2.0
    """Seconds of measuring per workload; one call per round at the least."""
    rounds: int = 10
    warmup: int = 3
    """Calls before anything counts."""
    budget: float | None = None
    """Seconds for all workloads of one group; rounds that don't fit are left out."""


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
    on_step: Callable[[str, float], None] = lambda key, done: None,
) -> Timings:
    """Time the workloads in alternating rounds.

    Args:
        workloads: The competitors.
        plan: How long.
        device: Whose clock to use.
        on_step: Told the workload's key and the share done, after each step.

    Returns:
        The timings of every workload that was measured at least once; Ctrl-C
        ends the measurement and keeps them.
    """
    timings = {work.key: Timing(work.key, work.items) for work in workloads}
    started = time.perf_counter()
    interrupted = False
    try:
        calls = _warm_up(workloads, plan, device, on_step)
        _run_rounds(workloads, calls, timings, plan, device, started, on_step)
    except KeyboardInterrupt:
        interrupted = True
    on_step('', 1.0)
    return Timings({key: t for key, t in timings.items() if t.rounds}, interrupted)


def _warm_up(
    workloads: Sequence[Workload],
    plan: Plan,
    device: torch.device,
    on_step: Callable[[str, float], None],
) -> dict[str, int]:
    """Run each workload a few times; the calls that fill its share of a round."""
    calls = {}
    for index, work in enumerate(workloads):
        times = [time_calls(work.call, 1, device)[0] for _ in range(max(1, plan.warmup))]
        slice_time = plan.min_time / plan.rounds
        calls[work.key] = max(1, round(slice_time / max(min(times), 1e-7)))
        on_step(work.key, 0.2 * (index + 1) / len(workloads))
    return calls


def _run_rounds(
    workloads: Sequence[Workload],
    calls: dict[str, int],
    timings: dict[str, Timing],
    plan: Plan,
    device: torch.device,
    started: float,
    on_step: Callable[[str, float], None],
) -> None:
    steps = plan.rounds * len(workloads)
    longest = 0.0
    for index in range(plan.rounds):
        round_start = time.perf_counter()
        order = workloads if index % 2 == 0 else workloads[::-1]
        for place, work in enumerate(order):
            timings[work.key].rounds.append(time_calls(work.call, calls[work.key], device))
            on_step(work.key, 0.2 + 0.8 * (index * len(workloads) + place + 1) / steps)
        now = time.perf_counter()
        longest = max(longest, now - round_start)
        if plan.budget is not None and now - started + longest > plan.budget:
            break


def time_calls(call: Callable[[], object], count: int, device: torch.device) -> list[float]:
    """Seconds of each of ``count`` calls in a row."""
    if device.type == 'cuda':
        return _time_calls_cuda(call, count)
    times = []
    for _ in range(count):
        begin = time.perf_counter()
        call()
        times.append(time.perf_counter() - begin)
    return times


def _time_calls_cuda(call: Callable[[], object], count: int) -> list[float]:
    events = [torch.cuda.Event(enable_timing=True) for _ in range(count + 1)]
    torch.cuda.synchronize()
    events[0].record()
    for event in events[1:]:
        call()
        event.record()
    torch.cuda.synchronize()
    return [a.elapsed_time(b) / 1e3 for a, b in itertools.pairwise(events)]


@contextmanager
def intra_op_threads(count: int) -> Iterator[None]:
    """Let torch compute with ``count`` threads for a while."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
