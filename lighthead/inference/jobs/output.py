"""The output folder of a run: drawings, the journal, errors, and what the run was."""

import fcntl
import json
import os
from pathlib import Path
from typing import Any

from lighthead.errors import UserError
from lighthead.files import clean_leftovers, printable, write_text_file
from lighthead.inference.detector import Detector
from lighthead.inference.jobs.formats import FORMATS
from lighthead.inference.jobs.journal import ErrorFile, Journal, repair_journal
from lighthead.inference.jobs.options import InferOptions
from lighthead.inference.runtimes.files import model_sha256

JOURNAL = 'predictions.jsonl'


class OutputFolder:
    """Makes the folder, and keeps two runs from writing into it at the same time.

    Attributes:
        done: Paths of the inputs that an earlier run has completed; empty without ``resume``.

    Raises:
        UserError: the folder cannot be written, another run uses it, or it holds the results
            of other arguments than those that are to be resumed.
    """

    def __init__(self, options: InferOptions, detector: Detector) -> None:
        self.path = Path(options.out_dir)
        self.vis_dir = None if options.no_save_vis else self.path / 'vis'
        self.journal: Journal | None = None
        self.errors: ErrorFile | None = None
        self.done: set[str] = set()
        self._lock: int | None = None
        if options.no_save_pred and options.no_save_vis:
            return
        _make_folder(self.vis_dir or self.path)
        for folder in {self.path, self.vis_dir or self.path}:
            clean_leftovers(folder)
        if not options.no_save_pred:
            self._open_journal(options, detector)

    def _open_journal(self, options: InferOptions, detector: Detector) -> None:
        path = self.path / JOURNAL
        self._lock = _lock(self.path)
        self.job = describe_job(options, detector)
        before = _read_job(self.path / 'job.json')
        resume = options.resume and path.exists()
        if resume:
            _check_same(before, self.job, self.path)
            self.done = repair_journal(path)
        elif before is not None and not before.get('finished') and not path.is_symlink():
            self._keep_unfinished(path)
        self.journal = Journal(path, resume)
        self.errors = ErrorFile(self.path / 'errors.jsonl')
        self._write_job(finished=False)

    def _keep_unfinished(self, path: Path) -> None:
        """A new run does not delete what an interrupted one did."""
        if path.is_file() and path.stat().st_size:
            os.replace(path, self.path / 'predictions.unfinished.jsonl')

    def _write_job(self, finished: bool) -> None:
        text = json.dumps(dict(self.job, finished=finished), indent=1)
        write_text_file(text + '\n', self.path / 'job.json')

    def sync(self) -> None:
        """Bring the journal to the disk; nothing can be written to it any more."""
        if self.journal is not None:
            self.journal.close()
        if self.errors is not None:
            self.errors.close()

    def __enter__(self) -> 'OutputFolder':
        return self

    def __exit__(self, *exc: object) -> None:
        self.sync()
        if self._lock is not None:
            os.close(self._lock)

    def write_formats(self, names: list[str], finished: bool) -> list[Path]:
        """Write the other formats from the journal, and remember whether all inputs are done."""
        try:
            paths = [FORMATS[name](self.path / JOURNAL, self.path, self.job) for name in names]
            self._write_job(finished)
        except OSError as error:
            raise UserError(
                f'The results in {printable(self.path / JOURNAL)} are complete, but another '
                f'format cannot be written ({error.strerror}): repeat the command with --resume.'
            ) from error
        return paths


def describe_job(options: InferOptions, detector: Detector) -> dict[str, Any]:
    """What results depend on; ``--resume`` continues only the same."""
    model = Path(detector.path)
    return dict(
        model=printable(model),
        model_sha256=model_sha256(model),
        score_thr=options.pred_score_thr,
        only_classes=options.classes,
        class_agnostic=options.class_agnostic,
        track=options.track,
        tile=options.tile,
        overlap=options.overlap if options.tile else None,
        classes=list(detector.classes),
        category_ids=list(detector.category_ids),
    )


def _check_same(before: dict | None, now: dict, folder: Path) -> None:
    if before is None:
        raise UserError(
            f'{printable(folder)} holds no run to resume (no job.json): leave --resume out.'
        )
    different = [key for key in now if key != 'model' and before.get(key) != now[key]]
    if different:
        key = different[0]
        raise UserError(
            f'{printable(folder)} holds results of another run ({key} was {before.get(key)!r} and '
            f'is {now[key]!r}): repeat its arguments, or choose another --out-dir.'
        )


def _read_job(path: Path) -> dict | None:
    try:
        job = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return job if isinstance(job, dict) else None


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f'--out-dir {printable(folder)} cannot be made ({error.strerror}).'
        ) from error
    if not os.access(folder, os.W_OK):
        raise UserError(f'--out-dir {printable(folder)} is not writable: choose another one.')


def _lock(folder: Path) -> int:
    """Hold the folder until the descriptor is closed, or this process ends."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise UserError(
            f'Another run writes into --out-dir {printable(folder)}: choose another one.'
        ) from error
    return descriptor
