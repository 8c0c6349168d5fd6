"""A shard's images in chunks: loaded on one side, detected in on another."""

from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

from lighthead.inference.batch.rows import PreparedRow, prepare_row, read_rows
from lighthead.inference.batch.shards import Shard
from lighthead.inference.detector import Detector, Wanted
from lighthead.inference.loading import LoadedImage
from lighthead.inference.preprocess import Preprocess
from lighthead.inference.read_ahead import ordered_map, windows
from lighthead.inference.tiles import Tiling

CHUNK = 16
"""Images of a chunk, at least: it is what travels from one process to another."""


class Loading(NamedTuple):
    """How the images of a job are loaded, without its network; pickles."""

    preprocess: Preprocess
    tiling: Tiling | None
    window: int

    @property
    def chunk(self) -> int:
        """Images of a chunk: whole windows, so that results do not depend on where it runs."""
        return -(-CHUNK // self.window) * self.window


class Chunk(NamedTuple):
    """Images that follow each other; after the last ones, how many there were in all."""

    number: int
    rows: list[PreparedRow]
    total: int | None = None


def loading_of(detector: Detector) -> Loading:
    """What a detector needs of its images."""
    return Loading(detector.preprocess, detector.tiling, detector.window)


def read_chunks(shard: Shard, loading: Loading, workers: int) -> Iterator[Chunk]:
    """Load a shard's images, ``workers`` at a time.

    Raises:
        UserError: the shard's file is damaged.
    """
    prepare = partial(prepare_row, preprocess=loading.preprocess, tiling=loading.tiling)
    prepared = ordered_map(prepare, read_rows(shard), workers, loading.window + workers)
    total = number = 0
    for number, rows in enumerate(windows(prepared, loading.chunk), start=1):
        total += len(rows)
        yield Chunk(number - 1, rows)
    yield Chunk(number, [], total)


def without_pixels(chunk: Chunk) -> Chunk:
    """The same with what the network needs alone, to be sent."""
    rows = []
    for row in chunk.rows:
        loaded = row.loaded._replace(source=b'')
        if isinstance(loaded, LoadedImage) and loaded.resized is not None:
            loaded = loaded._replace(image=None)
        rows.append(row._replace(loaded=loaded))
    return chunk._replace(rows=rows)


def detect_in_chunk(detector: Detector, chunk: Chunk, wanted: Wanted) -> list[dict]:
    """A record per image: ``path``, ``digest``, and its detections or ``error``."""
    records = []
    for window in windows(chunk.rows, detector.window):
        results = detector.detect([row.loaded for row in window], wanted)
        for row, result in zip(window, results, strict=True):
            outcome = dict(error=str(result.error))
            if result.detections is not None:
                outcome = result.detections.to_dict()
            records.append(dict(path=row.path, digest=row.digest) | outcome)
    return records
