"""A job of ``lighthead batch``: its shards, on the executor that was asked for."""

from collections.abc import Iterator

from lighthead.errors import EXIT_OK, EXIT_USER, UserError
from lighthead.files import printable
from lighthead.inference.batch.chunks import detect_in_chunk, loading_of, read_chunks
from lighthead.inference.batch.job import Job
from lighthead.inference.batch.options import BatchOptions
from lighthead.inference.batch.ray_executor import run_on_ray
from lighthead.inference.batch.shards import Shard
from lighthead.inference.batch.writer import write_shard
from lighthead.inference.read_ahead import default_workers


class StoppedError(Exception):
    """A signal came: the shard is given up."""


def batch(options: BatchOptions) -> int:
    """Detect in all images of the input that have no results yet.

    Returns:
        0, with images that could not be read as rows with an ``error``; 2 if a shard failed;
        128 + the signal that ended the job.
    """
    job = Job(options)
    print(f'{len(job.shards)} shards, {len(job.todo)} to do here')
    if job.todo:
        (run_on_ray if options.executor == 'ray' else run_here)(job)
    return _finish(job)


def run_here(job: Job) -> None:
    """One shard after the other in this process; decoding and the network overlap."""
    with job.stop, job.progress:
        job.add_bar()
        for shard in job.todo:
            try:
                write_shard(job.output.folder, shard, _records(job, shard), job.output.job)
            except StoppedError:
                return
            except UserError as error:
                job.fail(shard, str(error))
            except OSError as error:
                raise UserError(
                    f'{printable(job.output.folder)} cannot be written ({error.strerror}): what '
                    'it holds is complete; make room and repeat the command.'
                ) from error


def _records(job: Job, shard: Shard) -> Iterator[dict]:
    workers, done = job.options.workers, 0
    workers = default_workers() if workers is None else workers
    for chunk in read_chunks(shard, loading_of(job.detector), workers):
        records = detect_in_chunk(job.detector, chunk, job.wanted)
        job.count(records)
        yield from records
        done += len(records)
        if job.stop:
            raise StoppedError
        if chunk.total not in (None, done):
            raise UserError(f'{done} of {chunk.total} images have a result.')


def _finish(job: Job) -> int:
    """Say what was done here, and, where all shards are, count all rows."""
    progress = job.progress
    print(
        f'{progress.detections} detections in {progress.images} images here, '
        f'{progress.errors - len(job.failures)} with an error ({progress.speed:.1f} images/s)'
    )
    lines = None if job.stop or job.failures else job.output.finish()
    if lines is not None:
        rows, errors = (sum(line[key] for line in lines) for key in ('rows', 'errors'))
        print(
            f'all {len(lines)} shards are done: {rows} images in, {rows} rows out, {errors} with '
            f'an error; {printable(job.output.folder)}'
        )
    if job.failures:
        print(f'{len(job.failures)} shards failed: put them right and repeat the command.')
    if job.stop:
        print('stopped early: the same command continues')
        return job.stop.exit_code
    return EXIT_USER if job.failures else EXIT_OK
