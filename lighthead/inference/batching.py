"""Images that come one after the other, in batches of the same padded size.

Results come in the order of the images. Which images share a batch depends on their sizes and
order alone, so a run that is repeated gives the same.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import numpy as np

from lighthead.inference.runtimes.backend import RawDetections

Size = tuple[int, int]
Run = Callable[[Sequence[np.ndarray]], list[RawDetections]]
BATCHES_WAITING = 8
"""So many batches' images wait at most until others of their size come."""
BYTES_WAITING = 2**28
"""Of images that wait, at most (and one image more)."""


class Resized(Protocol):
    """An image, or what could not be read."""

    @property
    def resized(self) -> np.ndarray | None:
        """For the network, uint8 BGR (h, w, 3); None where it is not to see it."""

    @property
    def nbytes(self) -> int:
        """What it takes in memory."""


Image = TypeVar('Image', bound=Resized)


def in_batches(
    images: Iterable[Image], batch_size: int, padded_size: Callable[[Size], Size], run: Run
) -> Iterator[tuple[Image, RawDetections | None]]:
    """Each image with its detections, in order; None for one that the network does not see.

    Args:
        images: Are taken when there is room.
        batch_size: Images per call of ``run``, at most.
        padded_size: From (height, width) of a resized image to that of its batch.
        run: Detects in resized images of the same padded size.
    """
    queue = _Queue[Image](batch_size, run)
    for one in images:
        size = None if one.resized is None else padded_size(one.resized.shape[:2])
        queue.add(_Place(one, size))
        yield from queue.leaving(queue.is_full)
    yield from queue.leaving(lambda: True)


@dataclass
class _Place(Generic[Image]):
    """An image in the queue; ``size`` is its padded size until the network has seen it."""

    image: Image
    size: Size | None
    raw: RawDetections | None = None


class _Queue(Generic[Image]):
    def __init__(self, batch_size: int, run: Run) -> None:
        self.batch_size, self.run = batch_size, run
        self.places: deque[_Place[Image]] = deque()
        self.groups: dict[Size, list[_Place[Image]]] = {}
        self.bytes = 0

    def add(self, place: _Place[Image]) -> None:
        """The last one in the queue; where it completes a batch, the network runs."""
        self.places.append(place)
        self.bytes += place.image.nbytes
        if place.size is None:
            return
        group = self.groups.setdefault(place.size, [])
        group.append(place)
        if len(group) == self.batch_size:
            self._run_group(place.size)

    def _run_group(self, size: Size) -> None:
        """Let the network see those of one size."""
        places = self.groups.pop(size)
        arrays = [place.image.resized for place in places]
        raw = self.run([array for array in arrays if array is not None])
        for place, detections in zip(places, raw, strict=True):
            place.raw, place.size = detections, None

    def is_full(self) -> bool:
        """Whether the first one has to leave, in a smaller batch if need be."""
        most = self.batch_size * BATCHES_WAITING
        return self.bytes > BYTES_WAITING or len(self.places) >= most

    def leaving(
        self, must_leave: Callable[[], bool]
    ) -> Iterator[tuple[Image, RawDetections | None]]:
        """Those at the front that the network has seen, or that must leave."""
        while self.places and (self.places[0].size is None or must_leave()):
            if self.places[0].size is not None:
                self._run_group(self.places[0].size)
            place = self.places.popleft()
            self.bytes -= place.image.nbytes
            yield place.image, place.raw
