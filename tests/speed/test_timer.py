import numpy as np
import pytest
import torch

from lighthead.speed.harness.statistics import median_interval, rank_correlation, verdict
from lighthead.speed.harness.timer import (
    Plan,
    Timing,
    Workload,
    intra_op_threads,
    measure,
    time_calls,
)

CPU = torch.device('cpu')
SHORT = Plan(min_time=1e-4, rounds=4, warmup=1)


def recorder(name, log):
    return lambda: log.append(name)


def test_rounds_alternate_between_competitors():
    log = []
    plan = Plan(min_time=1e-9, rounds=4, warmup=1)
    works = [Workload(name, recorder(name, log)) for name in 'abc']
    timings = measure(works, plan, CPU)
    assert ''.join(log) == 'abc' + 'abc' + 'cba' + 'abc' + 'cba'
    assert [len(timings.by_key[name].rounds) for name in 'abc'] == [4, 4, 4]
    assert not timings.interrupted


def test_min_time_makes_more_calls():
    counts = {}
    for seconds in (1e-4, 2e-1):
        log = []
        measure([Workload('a', recorder('a', log))], Plan(seconds, 2, 1), CPU)
        counts[seconds] = len(log)
    assert counts[2e-1] > counts[1e-4]


def test_budget_leaves_rounds_out_but_not_the_first():
    plan = Plan(min_time=1e-9, rounds=50, warmup=1, budget=0.0)
    timings = measure([Workload('a', lambda: None)], plan, CPU)
    assert len(timings.by_key['a'].rounds) == 1


def test_interrupt_keeps_what_was_measured():
    calls = []

    def stop_at_fourth():
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt

    works = [Workload('a', lambda: None), Workload('b', stop_at_fourth)]
    timings = measure(works, Plan(min_time=1e-9, rounds=9, warmup=1), CPU)
    assert timings.interrupted
    assert len(timings.by_key['b'].rounds) == 2
    assert len(timings.by_key['a'].rounds) == 3


def test_interrupt_before_the_first_round_gives_nothing():
    def stop():
        raise KeyboardInterrupt

    timings = measure([Workload('a', stop)], SHORT, CPU)
    assert timings.interrupted
    assert timings.by_key == {}


def test_progress_ends_at_one():
    seen = []
    measure([Workload('a', lambda: None)], SHORT, CPU, lambda key, done: seen.append(done))
    assert seen == sorted(seen)
    assert seen[-1] == 1.0


def test_statistics_of_a_timing():
    timing = Timing('a', items=8, rounds=[[1.0, 2.0], [3.0], [4.0, 5.0]])
    assert timing.median == 3.0
    assert timing.p10 == pytest.approx(1.4)
    assert timing.p90 == pytest.approx(4.6)
    assert timing.spread == pytest.approx(3.2 / 3)
    assert timing.is_wide
    assert timing.items_per_second == pytest.approx(8 / 3)
    assert timing.round_medians.tolist() == [1.5, 3.0, 4.5]


@pytest.mark.parametrize(
    ('rounds', 'wide'), [([[1.0, 1.01, 1.02]], False), ([[1.0]], True), ([[1.0, 2.0, 3.0]], True)]
)
def test_too_few_calls_or_a_wide_spread_is_reported(rounds, wide):
    assert Timing('a', 1, rounds).is_wide is wide


def test_threads_are_put_back():
    before = torch.get_num_threads()
    with intra_op_threads(1):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before


@pytest.mark.parametrize(
    ('ratios', 'word'),
    [
        ([1.2, 1.21, 1.19, 1.22, 1.2, 1.18], 'holds here'),
        ([0.8, 0.81, 0.79, 0.82, 0.8, 0.78], 'does not hold here'),
        ([0.7, 1.4, 0.9, 1.2, 1.05, 0.95], 'too noisy to tell'),
        ([1.2, 1.2, 1.2], 'too noisy to tell'),  # too few rounds
    ],
)
def test_verdicts(ratios, word):
    assert verdict(ratios)['verdict'] == word


def test_interval_of_the_median_has_the_width_that_theory_gives():
    values = np.random.default_rng(1).normal(1.1, 0.05, 400)
    low, high = median_interval(values)
    assert low < np.median(values) < high
    # of n normal values the median's standard error is 1.253 sigma / sqrt(n)
    assert (high - low) / 2 == pytest.approx(1.96 * 1.253 * 0.05 / 20, rel=0.35)
    assert (low, high) == median_interval(values)


@pytest.mark.parametrize(
    ('first', 'second', 'expected'),
    [
        ([1, 2, 3, 4], [10, 20, 30, 40], 1.0),
        ([1, 2, 3, 4], [9, 7, 5, 1], -1.0),
        ([1, 2, 2, 4], [1, 2, 3, 4], 0.9486832980505138),  # a tie
        ([1, 2], [1, 2], None),
        ([1, 1, 1], [1, 2, 3], None),
    ],
)
def test_rank_correlation(first, second, expected):
    value = rank_correlation(first, second)
    assert value == (None if expected is None else pytest.approx(expected))


class FakeEvent:
    """A CUDA event that notes the stream it is recorded on, a millisecond after the last one."""

    recorded: list = []

    def __init__(self, enable_timing):
        assert enable_timing

    def record(self, stream):
        self.recorded.append(stream)
        self.place = len(self.recorded)

    def elapsed_time(self, other):
        return float(other.place - self.place)


def test_cuda_calls_are_timed_on_the_stream_of_their_own_device(monkeypatch):
    device = torch.device('cuda:1')
    log = []
    monkeypatch.setattr(FakeEvent, 'recorded', [])
    monkeypatch.setattr(torch.cuda, 'Event', FakeEvent)
    monkeypatch.setattr(torch.cuda, 'current_stream', lambda device: f'stream of {device}')
    monkeypatch.setattr(torch.cuda, 'synchronize', lambda device: log.append(f'wait {device}'))
    monkeypatch.setattr(torch.cuda, 'device', lambda device: FakeDevice(device, log))
    assert time_calls(lambda: log.append('call'), 2, device) == [0.001, 0.001]
    assert log == ['wait cuda:1', 'enter cuda:1', 'call', 'call', 'leave cuda:1', 'wait cuda:1']
    assert FakeEvent.recorded == ['stream of cuda:1'] * 3


class FakeDevice:
    """A context that notes when a device becomes the current one."""

    def __init__(self, device, log):
        self.device, self.log = device, log

    def __enter__(self):
        self.log.append(f'enter {self.device}')

    def __exit__(self, *_):
        self.log.append(f'leave {self.device}')
