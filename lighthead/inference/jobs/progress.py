"""The progress of a run on the console: images/s and the time that is left."""

import sys
import time
from datetime import timedelta

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

MOST_ERRORS = 20
"""So many error messages are shown; all of them are in errors.jsonl."""
LOG_SECONDS = 30
"""Between two lines where the console is no terminal."""


class _SpeedColumn(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text('' if task.speed is None else f'{task.speed:.1f} images/s')


class RunProgress:
    """A bar on stderr while it is entered, error messages above it, and counts for the end.

    Where stderr is no terminal, a line now and then takes the bar's place.
    """

    def __init__(self) -> None:
        self.console = Console(file=sys.stderr, soft_wrap=True)
        self.images = self.detections = self.errors = 0
        self.best_score: float | None = None
        self._started = self._logged = time.monotonic()
        columns = (TextColumn('{task.description}'), BarColumn(), MofNCompleteColumn())
        self._bar = Progress(
            *columns,
            *(_SpeedColumn(), TimeRemainingColumn()),
            console=self.console,
            transient=True,
            disable=not self.console.is_terminal,
        )

    def __enter__(self) -> 'RunProgress':
        self._bar.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._bar.stop()

    def add(self, description: str, total: int | None) -> TaskID:
        """Begin a bar and return its number."""
        return self._bar.add_task(description, total=total)

    def remove(self, bar: TaskID) -> None:
        """End a bar."""
        self._bar.remove_task(bar)

    def advance(self, bar: TaskID) -> None:
        """One more is done."""
        self._bar.advance(bar)
        now = time.monotonic()
        if not self.console.is_terminal and now - self._logged >= LOG_SECONDS:
            self._logged = now
            task = next(task for task in self._bar.tasks if task.id == bar)
            self._print(progress_line(task.completed, task.total, self.speed))

    def count(self, detections: int, best_score: float | None) -> None:
        """One more image or frame has these detections."""
        self.images += 1
        self.detections += detections
        if best_score is not None and best_score > (self.best_score or 0.0):
            self.best_score = best_score

    def count_record(self, record: dict) -> None:
        """One more image has this record of a batch job: detections, or an ``error``."""
        scores = record.get('scores', [])
        self.count(len(scores), max(scores, default=None))
        if 'error' in record:
            self.error(f'{record["path"]}: {record["error"]}')

    def error(self, message: str) -> None:
        """Report an input that could not be used."""
        self.errors += 1
        if self.errors <= MOST_ERRORS:
            self._print(f'error: {message}')
        if self.errors == MOST_ERRORS:
            self._print('Further errors are only counted and written to the results.')

    def note(self, message: str) -> None:
        """Say something that is no error."""
        self._print(f'note: {message}')

    def _print(self, message: str) -> None:
        self.console.print(message, markup=False, highlight=False, soft_wrap=True)

    @property
    def speed(self) -> float:
        """Images per second since the beginning."""
        return self.images / max(time.monotonic() - self._started, 1e-9)


def progress_line(done: float, total: float | None, speed: float) -> str:
    """How far a run is, and how long it will take."""
    line = f'{done:,.0f}' if total is None else f'{done:,.0f} of {total:,.0f}'
    line += f' done, {speed:.1f} images/s'
    if total is None or not speed:
        return line
    return f'{line}, {timedelta(seconds=round((total - done) / speed))} left'
