"""Requests that wait become batches for one thread that runs the network."""

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

OnBatch = Callable[[int, float], None]


class Batcher:
    """Collects items for a function of a list, and hands each its own result.

    While the network runs, items gather; the next batch takes them at once. Where none waits, a
    batch waits up to ``window`` for company.

    Args:
        detect: From a list of items to the list of their results; runs in a thread of its own.
        batch_size: Most items of a batch.
        window: Seconds.
        on_batch: Called with the number of items and the seconds of every batch.
    """

    def __init__(
        self,
        detect: Callable[[Sequence[Any]], Sequence[Any]],
        batch_size: int,
        window: float,
        on_batch: OnBatch,
    ) -> None:
        self.detect, self.batch_size, self.window = detect, batch_size, window
        self.on_batch = on_batch
        self.thread = ThreadPoolExecutor(1, thread_name_prefix='network')
        self._queue: asyncio.Queue[tuple[Any, asyncio.Future]] = asyncio.Queue()

    async def submit(self, item: Any) -> Any:
        """The result for an item.

        Raises:
            Exception: whatever ``detect`` raised for this item alone.
        """
        future = asyncio.get_running_loop().create_future()
        self._queue.put_nowait((item, future))
        return await future

    async def run(self) -> None:
        """Form batches until cancelled."""
        while True:
            batch = [await self._queue.get()]
            await self._fill(batch)
            await self._answer([entry for entry in batch if not entry[1].done()])

    async def _fill(self, batch: list) -> None:
        """Add what waits, and what comes within the window."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self.window):
                while len(batch) < self.batch_size:
                    batch.append(await self._queue.get())

    async def _answer(self, batch: list[tuple[Any, asyncio.Future]]) -> None:
        """Run a batch; one that fails is run item by item, so that one bad item fails alone."""
        if not batch:
            return
        start, loop = time.perf_counter(), asyncio.get_running_loop()
        try:
            items = [item for item, _ in batch]
            results = await loop.run_in_executor(self.thread, self.detect, items)
        except Exception as error:
            if len(batch) > 1:
                for entry in batch:
                    await self._answer([entry])
            elif not batch[0][1].done():
                batch[0][1].set_exception(error)
            return
        self.on_batch(len(batch), time.perf_counter() - start)
        for (_, future), result in zip(batch, results, strict=True):
            if not future.done():  # whoever asked may have gone
                future.set_result(result)
