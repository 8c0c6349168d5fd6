"""A detector that answers many requests: limits, decoding in threads, batches, numbers."""

import asyncio
import math
from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager, suppress
from http import HTTPStatus

import numpy as np
from starlette.requests import Request

from lighthead.inference.detector import Detector, unwrap
from lighthead.inference.loading import LoadedImage
from lighthead.inference.read_ahead import default_workers
from lighthead.inference.results import Detections
from lighthead.serving.batches import Batcher
from lighthead.serving.decode import NAME, decode_upload
from lighthead.serving.metrics import Metrics
from lighthead.serving.options import ServeOptions
from lighthead.serving.refusal import RefusalError
from lighthead.serving.uploads import read_upload

UPLOADS_PER_PLACE = 4
"""Uploads that may arrive at the same time, for each request that may wait."""
MOST_RETRY_SECONDS = 60


class Places:
    """A number of places that requests take; who finds none is told when to come again."""

    def __init__(self, total: int) -> None:
        self.total, self.taken = total, 0

    @property
    def full(self) -> bool:
        """Whether no place is left."""
        return self.taken >= self.total

    @contextmanager
    def take(self) -> Iterator[None]:
        """Hold a place; the caller has asked :attr:`full` since it last gave up control."""
        self.taken += 1
        try:
            yield
        finally:
            self.taken -= 1


class Service:
    """Answers requests with the detections of their images.

    Attributes:
        waiting: Places of requests whose image is there, and that are not answered yet.
        uploads: Places of requests whose image is arriving.
    """

    def __init__(self, detector: Detector, options: ServeOptions) -> None:
        self.detector, self.options = detector, options
        self.waiting = Places(options.queue)
        self.uploads = Places(options.queue * UPLOADS_PER_PLACE)
        self.metrics = Metrics(lambda: self.waiting.taken)
        self.decoders = ThreadPoolExecutor(default_workers(), thread_name_prefix='decode')
        self.seconds_per_image = 0.0
        self.batcher = Batcher(
            self._run, options.batch_size, options.batch_window / 1000, self._count
        )

    def warm_up(self) -> None:
        """Run the network once: its first call takes longer than the others."""
        height, width = self.detector.preprocess.scale or (640, 480)
        self.detector(np.zeros((height, width, 3), np.uint8))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """While it is entered, requests are answered."""
        task = asyncio.create_task(self.batcher.run())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            for pool in (self.batcher.thread, self.decoders):
                pool.shutdown(wait=False, cancel_futures=True)

    async def detect(self, request: Request) -> Detections:
        """The detections of a request's image, down to the file's own threshold.

        Raises:
            RefusalError: the request is refused.
        """
        self._check(self.waiting)  # before anything is read
        self._check(self.uploads)
        with self.uploads.take():
            options = self.options
            content = await read_upload(request, options.upload_bytes, options.upload_timeout)
        self._check(self.waiting)
        with self.waiting.take():
            loop = asyncio.get_running_loop()
            loaded = await loop.run_in_executor(self.decoders, self._load, content)
            return await self.batcher.submit(loaded)

    def _load(self, content: bytes) -> LoadedImage:
        loaded = self.detector.load(decode_upload(content, self.options.pixels))
        assert isinstance(loaded, LoadedImage)  # an array that was decoded can be loaded
        return loaded._replace(source=NAME, image=None)  # what waits is as small as can be

    def _run(self, loaded: Sequence[LoadedImage]) -> list[Detections]:
        everything = self.detector.wanted(score_thr=0.0)
        return [unwrap(result) for result in self.detector.detect(loaded, everything)]

    def _check(self, places: Places) -> None:
        """Raise a RefusalError where there is no place."""
        if places.full:
            seconds = math.ceil(places.taken * self.seconds_per_image)
            retry = min(max(seconds, 1), MOST_RETRY_SECONDS)
            message = f'The server is busy: try again in {retry} s.'
            raise RefusalError(HTTPStatus.SERVICE_UNAVAILABLE, message, retry_after=retry)

    def _count(self, images: int, seconds: float) -> None:
        self.metrics.batch(images, seconds)
        new = seconds / images
        old = self.seconds_per_image or new
        self.seconds_per_image = 0.9 * old + 0.1 * new
