"""Working ahead in threads: order, bounds, errors, endings."""

import threading
import time
from itertools import count, islice

import pytest

from lighthead.inference.read_ahead import newest, ordered_map, prefetch, windows


@pytest.mark.parametrize('workers', [0, 1, 4])
def test_order_is_kept(workers):
    def slow_square(number: int) -> int:
        time.sleep(0.002 * (number % 3))
        return number**2

    assert list(ordered_map(slow_square, range(30), workers, 5)) == [n**2 for n in range(30)]
    assert list(ordered_map(slow_square, [], workers, 5)) == []


def test_it_works_ahead_and_not_further():
    taken = []
    items = (taken.append(number) or number for number in count())
    results = ordered_map(lambda number: number, items, 2, 3)
    assert next(results) == 0
    assert taken == [0, 1, 2, 3]
    assert next(results) == 1
    assert taken == [0, 1, 2, 3, 4]
    results.close()


def test_results_are_ready_before_they_are_asked_for():
    started = threading.Barrier(3, timeout=20)
    results = ordered_map(lambda _: started.wait(), range(2), 2, 2)
    thread = threading.Thread(target=lambda: list(results))
    thread.start()
    started.wait()  # both are under way at the same time
    thread.join()


@pytest.mark.parametrize('workers', [0, 2])
def test_an_error_comes_in_its_place(workers):
    results = ordered_map(lambda number: 1 / (number - 2), range(5), workers, 5)
    assert list(islice(results, 2)) == [-0.5, -1]
    with pytest.raises(ZeroDivisionError):
        next(results)
    assert list(results) == []


def test_threads_end_with_the_iterator():
    before = threading.active_count()
    results = ordered_map(abs, count(), 3, 5)
    next(results)
    results.close()
    frames = prefetch(count(), 5)
    next(frames)
    frames.close()
    dropped = [0]
    live = newest(iter(range(10**6)), dropped)
    next(live)
    live.close()
    assert threading.active_count() == before


def test_prefetch():
    assert list(prefetch(range(20), 3)) == list(range(20))
    taken = []
    frames = prefetch((taken.append(number) or number for number in count()), 4)
    assert next(frames) == 0
    deadline = time.monotonic() + 20
    while len(taken) < 5 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(taken) == 5
    frames.close()

    def broken():
        yield 1
        raise OSError('gone')

    frames = prefetch(broken(), 2)
    assert next(frames) == 1
    with pytest.raises(OSError, match='gone'):
        next(frames)


def test_newest_drops_what_nobody_took():
    go_on = threading.Event()

    def camera():
        yield 0
        yield from range(1, 50)
        go_on.set()

    dropped = [0]
    frames = newest(camera(), dropped)
    seen = [next(frames)]
    go_on.wait(20)
    seen += frames
    assert seen[-1] == 49
    assert seen == sorted(seen)
    assert dropped[0] == 50 - len(seen)
    assert dropped[0] > 0


def test_newest_hands_errors_on():
    def broken():
        yield 1
        raise OSError('gone')

    frames = newest(broken(), [0])
    with pytest.raises(OSError, match='gone'):
        list(frames)


@pytest.mark.parametrize(('size', 'lengths'), [(1, [1] * 5), (2, [2, 2, 1]), (7, [5])])
def test_windows(size, lengths):
    assert [len(window) for window in windows(range(5), size)] == lengths
