"""A job on Ray Data: loading on CPUs, detection in actors that hold the model, one writer.

``shards -> load (tasks) -> detect (actors) -> this process``. What travels between processes is
chunks of a few images, so that an object store of any size holds some of them; when a worker
dies, Ray repeats its task. This process puts the chunks of a shard in order and writes its file
when all are there: a shard whose file is not there is done again by the next run.
"""

import logging
import os
import pickle
from collections.abc import Iterator
from typing import Any, NamedTuple

from lighthead.errors import UserError
from lighthead.inference.batch.chunks import (
    Chunk,
    detect_in_chunk,
    loading_of,
    read_chunks,
)
from lighthead.inference.batch.job import Job
from lighthead.inference.batch.options import BatchOptions, wanted
from lighthead.inference.batch.shards import Shard
from lighthead.inference.batch.writer import write_shard
from lighthead.inference.conversions import import_extra

BLOCK = 16 * 2**20
"""Bytes of loaded images that Ray passes on at once."""


class Records(NamedTuple):
    """What became of a chunk, or, with ``error``, why its shard failed."""

    shard: int
    number: int
    records: list[dict]
    total: int | None = None
    error: str | None = None


def run_on_ray(job: Job) -> None:
    """Do the shards on a cluster, or on a Ray that is started here and ends with this process."""
    ray = import_extra('ray', 'ray')
    _start(ray, job.options)
    assembler = Assembler(job)
    try:
        with job.stop, job.progress:
            job.add_bar()
            for row in _dataset(ray, job).iter_rows():
                records = pickle.loads(row['payload'])
                job.count(records.records)
                assembler.add(records)
                if job.stop:
                    return
        assembler.check()
    finally:
        ray.shutdown()


def _start(ray: Any, options: BatchOptions) -> None:
    os.environ.setdefault('RAY_USAGE_STATS_ENABLED', '0')
    try:
        if not ray.is_initialized():
            settings = {} if options.address else dict(include_dashboard=False)
            ray.init(options.address, logging_level='ERROR', log_to_driver=False, **settings)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise UserError(f'Ray cannot be reached or started ({error}).') from error


def _dataset(ray: Any, job: Job) -> Any:
    """A row per chunk."""
    options, loading = job.options, loading_of(job.detector)
    context = ray.data.DataContext.get_current()
    context.target_max_block_size = BLOCK
    context.enable_progress_bars = False
    logging.getLogger('ray.data').setLevel(logging.ERROR)
    actors, cpus = _pool(ray, options)
    items = [dict(shard=number, payload=pickle.dumps(one)) for number, one in enumerate(job.todo)]
    return (
        ray.data.from_items(items, override_num_blocks=len(items))
        .map_batches(
            load_shards,
            batch_size=1,
            num_cpus=1,
            max_retries=-1,  # also: stages of different arguments are not joined into one
            fn_kwargs=dict(loading=pickle.dumps(loading)),
        )
        .map_batches(
            DetectorActor,
            batch_size=1,
            compute=ray.data.ActorPoolStrategy(size=actors),
            num_cpus=cpus,
            num_gpus=options.gpus_per_actor,
            fn_constructor_args=(options,),
        )
    )


def _pool(ray: Any, options: BatchOptions) -> tuple[int, float]:
    """How many actors of how many CPUs: a CPU at least is left to load images."""
    have = ray.cluster_resources()
    cpus = options.cpus_per_actor or float(options.threads or 1)
    room = int(max(have.get('CPU', 1) - 1, 1) // cpus)
    if options.gpus_per_actor:
        room = int(have.get('GPU', 0) // options.gpus_per_actor)
    actors = options.actors or max(1, room if options.gpus_per_actor else room // 2)
    if actors > room:
        raise UserError(
            f'{actors} actors of {cpus:g} CPUs and {options.gpus_per_actor:g} GPUs, and a CPU that '
            f'loads images, do not fit on {have.get("CPU", 0):g} CPUs and {have.get("GPU", 0):g} '
            'GPUs: lower --actors, --cpus-per-actor or --gpus-per-actor.'
        )
    return actors, cpus


def load_shards(batch: dict[str, Any], loading: bytes) -> Iterator[dict[str, list]]:
    """Ray's loading stage: a row per chunk of the shard."""
    number, shard = int(batch['shard'][0]), pickle.loads(batch['payload'][0])
    done = 0
    try:
        for chunk in read_chunks(shard, pickle.loads(loading), workers=0):
            done = chunk.number + 1
            yield _row(number, chunk)
    except UserError as error:
        yield _row(number, Records(number, done, [], None, str(error)))


class DetectorActor:
    """Ray's detecting stage: holds the model."""

    def __init__(self, options: BatchOptions) -> None:
        self.detector = options.open_detector(options.model)
        self.wanted = wanted(options, self.detector)

    def __call__(self, batch: dict[str, Any]) -> dict[str, list]:
        """Detect in one chunk."""
        number, chunk = int(batch['shard'][0]), pickle.loads(batch['payload'][0])
        if isinstance(chunk, Records):  # why the shard could not be loaded
            return _row(number, chunk)
        return _row(number, self._records(number, chunk))

    def _records(self, number: int, chunk: Chunk) -> Records:
        try:
            records = detect_in_chunk(self.detector, chunk, self.wanted)
        except UserError as error:
            return Records(number, chunk.number, [], None, str(error))
        return Records(number, chunk.number, records, chunk.total)


def _row(shard: int, payload: object) -> dict[str, list]:
    return dict(shard=[shard], payload=[pickle.dumps(payload)])


class Assembler:
    """Writes a shard when all its chunks have come, in whatever order."""

    def __init__(self, job: Job) -> None:
        self._job, self._shards = job, job.todo
        self._parts: dict[int, dict[int, Records]] = {}
        self._ended: set[int] = set()

    def add(self, records: Records) -> None:
        """Take a chunk's records.

        Raises:
            UserError: the file cannot be written.
        """
        if records.shard in self._ended:
            return
        parts = self._parts.setdefault(records.shard, {})
        parts[records.number] = records
        ends = [(part.number, part.total) for part in parts.values() if part.total is not None]
        if records.error is not None:
            self._end(records.shard)
            self._job.fail(self._shards[records.shard], records.error)
        for last, total in ends:
            if records.error is None and len(parts) == last + 1:
                self._end(records.shard)
                self._write(self._shards[records.shard], parts, total)

    def _end(self, shard: int) -> None:
        self._ended.add(shard)
        del self._parts[shard]

    def _write(self, shard: Shard, parts: dict[int, Records], total: int) -> None:
        records = [record for number in sorted(parts) for record in parts[number].records]
        if len(records) != total:
            self._job.fail(shard, f'{len(records)} of {total} images have a result.')
            return
        try:
            write_shard(self._job.output.folder, shard, records, self._job.output.job)
        except OSError as error:
            raise UserError(
                f'{shard.name}.parquet cannot be written ({error.strerror}): make room and repeat '
                'the command.'
            ) from error

    def check(self) -> None:
        """Report shards of which something is missing after the last chunk has come."""
        for number, shard in enumerate(self._shards):
            if number not in self._ended:
                self._job.fail(shard, 'some of its images came back without a result.')
