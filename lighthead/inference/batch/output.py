"""The output folder of a job: which shards are done, and whether all that came in came out.

Many processes, on many machines, may write into it at the same time: an output file is renamed
into place when it is complete, and what a job is (``job.json``) is written once and compared.
"""

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lighthead
from lighthead.errors import UserError
from lighthead.files import printable, temporary_path, write_bytes_file
from lighthead.inference.batch.options import BatchOptions
from lighthead.inference.batch.shards import Shard
from lighthead.inference.batch.writer import read_line
from lighthead.inference.detector import Detector
from lighthead.inference.runtimes.files import model_sha256

MANIFEST = 'manifest.jsonl'


def job_of(options: BatchOptions, detector: Detector) -> dict[str, Any]:
    """What the results depend on besides the images; ``config`` is its hash without the model."""
    settings = dict(
        lighthead=lighthead.__version__,
        score_thr=options.pred_score_thr,
        only_classes=options.classes,
        class_agnostic=options.class_agnostic,
        tile=options.tile,
        overlap=options.overlap if options.tile else None,
        backend=type(detector.backend).__name__,
        precision=options.precision,
        classes=list(detector.classes),
    )
    text = json.dumps(settings, sort_keys=True)
    config = hashlib.sha256(text.encode()).hexdigest()
    return dict(model_sha256=model_sha256(detector.path), config=config, **settings)


def _read_job(path: Path) -> dict[str, Any]:
    try:
        job = json.loads(path.read_bytes())
    except ValueError:
        job = None
    if not isinstance(job, dict):
        raise UserError(f'{printable(path)} is damaged: choose another folder.')
    return job


class BatchOutput:
    """The folder of a job.

    Raises:
        UserError: it cannot be written, or holds the results of another job or input.
    """

    def __init__(self, folder: str, shards: Sequence[Shard], job: dict[str, Any]) -> None:
        self.folder, self.shards, self.job = Path(folder), shards, job
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._check_job()
        except OSError as error:
            raise UserError(f'{printable(folder)} cannot be written ({error.strerror}).') from error
        strange = self._files() - {shard.name for shard in shards}
        if strange:
            raise UserError(
                f'{printable(folder)} holds results of images that the input no longer names '
                f'({min(strange)}.parquet): choose another folder, or move them away.'
            )

    def _check_job(self) -> None:
        path, temporary = self.folder / 'job.json', temporary_path(self.folder / 'job.json')
        if not path.exists():
            if self._files():
                raise UserError(f'{printable(self.folder)} holds Parquet files of others.')
            try:
                temporary.write_text(json.dumps(self.job, indent=1) + '\n')
                os.link(temporary, path)  # unlike a rename, it fails where another was quicker
            except FileExistsError:
                pass
            finally:
                temporary.unlink(missing_ok=True)
        before = _read_job(path)
        different = [key for key in self.job if before.get(key) != self.job[key]]
        if different:
            key = max(different, key=lambda key: key != 'config')
            raise UserError(
                f'{printable(self.folder)} holds results of another job ({key} was '
                f'{before.get(key)!r} and is {self.job[key]!r}): repeat its arguments, or choose '
                'another folder.'
            )

    def _files(self) -> set[str]:
        return {path.stem for path in self.folder.glob('*.parquet')}

    def todo(self, shards: Sequence[Shard]) -> list[Shard]:
        """The shards that have no complete output of the same images."""
        there = self._files()
        return [shard for shard in shards if shard.name not in there or not self._line(shard)]

    def _line(self, shard: Shard) -> dict[str, Any] | None:
        """The manifest's line of a shard that is done; its rows are those that came in."""
        done = read_line(self.folder / f'{shard.name}.parquet')
        if done is None or done[0].get('input') != shard.fingerprint:
            return None
        line, rows = done
        return line if line['rows'] == rows and shard.rows in (None, rows) else None

    def finish(self) -> list[dict[str, Any]] | None:
        """Write the manifest where every shard is done, and return its lines; None otherwise.

        Of several processes that end at the same time, the last one writes it.
        """
        if not {shard.name for shard in self.shards} <= self._files():
            return None
        found = [self._line(shard) for shard in self.shards]
        lines = [line for line in found if line is not None]
        if len(lines) < len(found):
            return None
        text = ''.join(json.dumps(line) + '\n' for line in lines)
        write_bytes_file(text.encode(), self.folder / MANIFEST)
        for leftover in self.folder.glob('.*.parquet.*.tmp'):  # of processes that were killed
            leftover.unlink(missing_ok=True)
        return lines
