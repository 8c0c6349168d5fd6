import numpy as np
import pytest
import torch

from lighthead.speed.statistics import bootstrap_interval, rank_correlation, verdict
from lighthead.speed.timer import Plan, Timing, Workload, intra_op_threads, measure

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
    assert len(timings.by_key['a'].rounds) >= 2


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
    assert verdict(ratios)[0] == word


def test_bootstrap_interval_holds_the_median():
    values = np.random.default_rng(1).normal(1.1, 0.05, 40)
    low, high = bootstrap_interval(values)
    assert low < np.median(values) < high
    assert (low, high) == bootstrap_interval(values)


@pytest.mark.parametrize(
    ('ours', 'theirs', 'expected'),
    [
        ([1, 2, 3, 4], [10, 20, 30, 40], 1.0),
        ([1, 2, 3, 4], [9, 7, 5, 1], -1.0),
        ([1, 2, 2, 4], [1, 2, 3, 4], 0.9486832980505138),  # a tie
        ([1, 2], [1, 2], None),
        ([1, 1, 1], [1, 2, 3], None),
    ],
)
def test_rank_correlation(ours, theirs, expected):
    value = rank_correlation(ours, theirs)
    assert value == (None if expected is None else pytest.approx(expected))
