"""A shard's images in chunks: loaded on one side, detected in on another."""

from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

from lighthead.inference.batch.rows import PreparedRow, prepare_row, read_rows
from lighthead.inference.batch.shards import Shard
from lighthead.inference.detector import Detector
from lighthead.inference.preprocess import Preprocess
from lighthead.inference.read_ahead import ordered_map, windows
from lighthead.inference.tiles import Tiling
from lighthead.inference.wanted import Wanted

CHUNK, BATCHES = 16, 8
"""Images of a chunk, and batches, at least: it is what travels from one process to another."""


class Loading(NamedTuple):
    """How the images of a job are loaded, without its network; pickles."""

    preprocess: Preprocess
    tiling: Tiling | None
    batch_size: int

    @property
    def chunk(self) -> int:
        """Images of a chunk, which share batches: results do not depend on where it runs."""
        return max(CHUNK, BATCHES * self.batch_size)


class Chunk(NamedTuple):
    """Images that follow each other; after the last ones, how many there were in all."""

    number: int
    rows: list[PreparedRow]
    total: int | None = None


def loading_of(detector: Detector) -> Loading:
    """What a detector needs of its images."""
    return Loading(detector.preprocess, detector.tiling, detector.images_per_call)


def read_chunks(shard: Shard, loading: Loading, workers: int) -> Iterator[Chunk]:
    """Load a shard's images, ``workers`` at a time.

    Raises:
        UserError: the shard's file is damaged.
    """
    prepare = partial(prepare_row, preprocess=loading.preprocess, tiling=loading.tiling)
    prepared = ordered_map(prepare, read_rows(shard), workers, loading.chunk + workers)
    total = number = 0
    for number, rows in enumerate(windows(prepared, loading.chunk), start=1):
        total += len(rows)
        yield Chunk(number - 1, rows)
    yield Chunk(number, [], total)


def detect_in_chunk(detector: Detector, chunk: Chunk, wanted: Wanted) -> list[dict]:
    """A record per image: ``path``, ``digest``, and its detections or ``error``."""
    records = []
    results = detector.detect([row.loaded for row in chunk.rows], wanted)
    for row, result in zip(chunk.rows, results, strict=True):
        outcome = dict(error=str(result.error))
        if result.detections is not None:
            outcome = result.detections.to_dict()
        records.append(dict(path=row.path, digest=row.digest) | outcome)
    return records
