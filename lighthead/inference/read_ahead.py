"""Work ahead in threads: items in, results out, in the same order and in bounded memory."""

import os
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice, repeat
from typing import TypeVar

Item = TypeVar('Item')
Result = TypeVar('Result')


def default_workers() -> int:
    """Threads that read images: half the cores, so that the network keeps the others; 1 to 8."""
    return max(1, min(8, (os.cpu_count() or 1) // 2))


def ordered_map(
    function: Callable[[Item], Result], items: Iterable[Item], workers: int, ahead: int
) -> Generator[Result, None, None]:
    """``map(function, items)`` in threads, ``ahead`` results before they are asked for.

    Decoding, resizing and encoding images release Python's lock, so threads overlap.

    Args:
        items: Taken one by one in the caller's thread, while there is room.
        workers: Threads; with 0, the caller's thread does it when a result is asked for.
        ahead: How many items may be under way or waiting to be taken.

    Raises:
        Exception: whatever ``function`` raised, at the place of its result. Then, and when
            the iterator is closed, what has not started is dropped and threads end.
    """
    if workers == 0:
        yield from map(function, items)
        return
    pool = ThreadPoolExecutor(workers, thread_name_prefix='read-ahead')
    waiting: deque[Future[Result]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def windows(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Lists of ``size`` items, the last one shorter."""
    iterator = iter(items)
    while window := list(islice(iterator, size)):
        yield window


def prefetch(items: Iterable[Item], ahead: int) -> Generator[Item, None, None]:
    """The same items, taken in a thread up to ``ahead`` before they are asked for."""
    iterator = iter(items)
    for taken in ordered_map(lambda _: list(islice(iterator, 1)), repeat(None), 1, ahead):
        if not taken:
            return
        yield taken[0]


def newest(items: Iterable[Item], dropped: list[int]) -> Generator[Item, None, None]:
    """The newest of the items that a thread takes as fast as they come; the others are dropped.

    Args:
        items: Such as the frames of a camera.
        dropped: Its one number is raised for every item that is dropped.

    Raises:
        Exception: whatever taking an item raised.
    """
    slot: deque = deque(maxlen=1)
    arrived, closed = threading.Condition(), threading.Event()
    thread = threading.Thread(
        target=_take, args=(items, slot, arrived, closed, dropped), name='newest', daemon=True
    )
    thread.start()
    try:
        while True:
            with arrived:
                arrived.wait_for(lambda: slot)
                item = slot.popleft()
                arrived.notify()
            if isinstance(item, StopIteration):
                return
            if isinstance(item, Exception):
                raise item
            yield item
    finally:
        closed.set()
        with arrived:
            arrived.notify_all()
        thread.join()


def _take(
    items: Iterable,
    slot: deque,
    arrived: threading.Condition,
    closed: threading.Event,
    dropped: list[int],
) -> None:
    """Put every item, and at last what ended them, into the slot of :func:`newest`."""
    end: Exception = StopIteration()
    try:
        for item in items:
            with arrived:
                dropped[0] += len(slot)
                slot.append(item)
                arrived.notify()
            if closed.is_set():
                return
    except Exception as error:  # handed on to the consumer
        end = error
    with arrived:
        arrived.wait_for(lambda: not slot or closed.is_set())
        slot.append(end)
        arrived.notify()
