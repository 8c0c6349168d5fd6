"""What the executors of a job share: options, detector, output, progress, failures."""

import os
from collections.abc import Sequence
from dataclasses import replace

from lighthead.errors import UserError
from lighthead.files import printable
from lighthead.inference.batch.options import BatchOptions, check_options, wanted
from lighthead.inference.batch.output import BatchOutput, job_of
from lighthead.inference.batch.shards import Shard, plan_shards
from lighthead.inference.conversions import import_extra
from lighthead.inference.jobs.progress import RunProgress
from lighthead.inference.jobs.stopping import StopRequest


class Job:
    """A job whose arguments were checked, before long work.

    Attributes:
        todo: The shards of this process that have no results yet.
        failures: Shards that could not be done.
    """

    def __init__(self, options: BatchOptions) -> None:
        check_options(options)
        import_extra('pyarrow', 'results')
        if options.executor == 'ray':
            import_extra('ray.data', 'ray')
        self.options = options
        self.shards = plan_shards(options.input, options.shard_size, options.column)
        _check_apart(options, self.shards)
        on_ray = options.executor == 'ray'  # the actors' machines have the devices
        here = replace(options, device='cpu', precision=None) if on_ray else options
        self.detector = here.open_detector(here.model)
        self.wanted = wanted(options, self.detector)
        self.output = BatchOutput(options.out, self.shards, job_of(options, self.detector))
        first, step = options.shard
        self.todo = self.output.todo(self.shards[first::step])
        self.failures: list[Shard] = []
        self.progress, self.stop = RunProgress(), StopRequest()

    def add_bar(self) -> None:
        """Begin to show how many of the images are done."""
        rows = [shard.rows for shard in self.todo if shard.rows is not None]
        total = sum(rows) if len(rows) == len(self.todo) else None
        self._bar = self.progress.add('detecting', total)

    def count(self, records: Sequence[dict]) -> None:
        """So many more images have records."""
        for record in records:
            self.progress.count_record(record)
            self.progress.advance(self._bar)

    def fail(self, shard: Shard, message: str) -> None:
        """Report a shard that cannot be done; the others go on."""
        self.failures.append(shard)
        self.progress.error(f'shard {shard.name}: {message}')


def _check_apart(options: BatchOptions, shards: Sequence[Shard]) -> None:
    """Refuse a folder of results that is one of images: the next run would read its results."""
    folders = {os.path.realpath(os.path.dirname(shard.sources[0]) or '.') for shard in shards}
    if os.path.realpath(options.out) in folders:
        raise UserError(f'{printable(options.out)} holds the images: choose another folder.')
