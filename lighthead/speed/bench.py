"""The workbench of the subcommands: measuring with a progress bar, roofline, Ctrl-C."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from lighthead.speed.machine import Roofline, describe_machine, measure_roofline
from lighthead.speed.record import Result
from lighthead.speed.settings import Settings
from lighthead.speed.timer import Plan, Timing, Workload, intra_op_threads, measure


class Bench:
    """Measures groups of workloads and keeps what was measured when the user stops it."""

    def __init__(self, settings: Settings, console: Console | None = None) -> None:
        self.settings = settings
        self.console = console or Console(stderr=True)
        self.interrupted = False
        self._rooflines: dict[tuple[str, int], Roofline] = {}

    def result(self, subcommand: str, title: str) -> Result:
        """An empty result of this machine and these settings."""
        return Result(subcommand, title, self.settings.describe(), describe_machine(self.settings))

    def progress(self) -> Progress:
        """A progress bar with the time left."""
        return Progress(
            SpinnerColumn(),
            TextColumn('{task.description}'),
            BarColumn(bar_width=24),
            TextColumn('{task.percentage:3.0f}%'),
            TimeElapsedColumn(),
            TextColumn('left'),
            TimeRemainingColumn(),
            console=self.console,
            transient=True,
            disable=not self.console.is_terminal,
        )

    def time(
        self,
        title: str,
        workloads: Sequence[Workload],
        threads: int,
        plan: Plan,
        settings: Settings | None = None,
    ) -> dict[str, Timing]:
        """Time a group; after Ctrl-C only what was measured comes back, and nothing runs later."""
        if self.interrupted:
            return {}
        device = (settings or self.settings).torch_device
        with self.progress() as progress, intra_op_threads(threads):
            task = progress.add_task(title, total=1.0)

            def on_step(key: str, done: float) -> None:
                progress.update(task, completed=done, description=f'{title} [dim]{key}[/dim]')

            timings = measure(workloads, plan, device, on_step)
        if timings.interrupted:
            self.interrupted = True
        return timings.by_key

    @contextmanager
    def stoppable(self) -> Iterator[None]:
        """Ctrl-C in here ends the measuring, not the command."""
        try:
            yield
        except KeyboardInterrupt:
            self.interrupted = True

    def each(self, title: str, items: Sequence) -> Iterator:
        """The items, with a progress bar; Ctrl-C ends it early."""
        if self.interrupted:
            return
        with self.progress() as progress:
            task = progress.add_task(title, total=len(items))
            for item in items:
                progress.update(task, description=f'{title} [dim]{getattr(item, "key", "")}[/dim]')
                yield item
                progress.advance(task)

    def roofline(self, settings: Settings, threads: int) -> Roofline:
        """The machine's limits for this device and number of threads, measured once."""
        key = (settings.device, threads)
        if key not in self._rooflines:
            with self.console.status('measuring the machine: matrix product and copy'):
                self._rooflines[key] = measure_roofline(settings, threads)
        return self._rooflines[key]

    def finish(self, result: Result) -> Result:
        """Add what every result says: limits, spreads that are too wide, an early end."""
        result.complete = not self.interrupted
        result.rooflines = [roofline.describe() for roofline in self._rooflines.values()]
        if self.interrupted:
            result.notes.insert(0, 'Stopped by the user: what was measured until then is here.')
        wide = [row['id'] for row in result.measurements if row.get('wide_spread')]
        if wide:
            some = ', '.join(wide[:4]) + (', ...' if len(wide) > 4 else '')
            result.notes.append(
                f'The spread is too wide in {len(wide)} of {len(result.measurements)} measurements '
                f'({some}): other work ran on the machine, or the calls are very short. '
                'Quieten the machine or measure longer with --min-time.'
            )
        if self.settings.quick:
            result.notes.append('A quick run: rough figures. Without --quick they are better.')
        return result
