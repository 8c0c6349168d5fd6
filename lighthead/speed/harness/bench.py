"""What the experiments measure with: a progress bar, the roofline, Ctrl-C."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress

from lighthead.speed.harness.conditions import Conditions
from lighthead.speed.harness.machine import Roofline, describe_machine, measure_roofline
from lighthead.speed.harness.memory import peak_memory
from lighthead.speed.harness.record import Record
from lighthead.speed.harness.timer import Plan, Timing, Workload, intra_op_threads, measure


class Bench:
    """Measures groups of workloads and keeps what was measured when the user stops it."""

    def __init__(self, conditions: Conditions, console: Console | None = None) -> None:
        self.conditions = conditions
        self.console = console or Console(stderr=True)
        self.interrupted = False
        self._rooflines: dict[tuple[str, int], Roofline] = {}

    def record(self, subcommand: str, title: str) -> Record:
        """An empty record of this machine and these conditions."""
        machine = describe_machine(self.conditions.torch_device)
        return Record(subcommand, title, self.conditions.describe(), machine)

    def progress(self) -> Progress:
        """A progress bar with the time left, in a terminal."""
        return Progress(console=self.console, transient=True, disable=not self.console.is_terminal)

    def time(
        self,
        title: str,
        workloads: Sequence[Workload],
        threads: int,
        plan: Plan,
        conditions: Conditions | None = None,
    ) -> dict[str, Timing]:
        """Time a group; after Ctrl-C only what was measured comes back, and nothing runs later."""
        if self.interrupted:
            return {}
        device = (conditions or self.conditions).torch_device
        with self.progress() as progress, intra_op_threads(threads):
            task = progress.add_task(title, total=1.0)

            def on_step(key: str, done: float) -> None:
                progress.update(task, completed=done, description=f'{title} [dim]{key}[/dim]')

            timings = measure(workloads, plan, device, on_step)
        self.interrupted |= timings.interrupted
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
            yield from progress.track(items, description=title)

    def roofline(self, conditions: Conditions, threads: int) -> Roofline:
        """The machine's limits for this device and number of threads, measured once."""
        key = (conditions.device, threads)
        if key not in self._rooflines:
            with self.console.status('measuring the machine: matrix product and copy'):
                self._rooflines[key] = measure_roofline(conditions, threads)
        return self._rooflines[key]

    def add_memory(
        self, record: Record, prepares: Mapping[str, Callable], conditions: Conditions
    ) -> None:
        """Add ``peak_memory_mb`` to measurements, by their ids; see :func:`peak_memory`."""
        if conditions.quick or not conditions.memory:
            return
        rows = [row for row in record.measurements if row['id'] in prepares]
        for row in self.each('peak memory', rows):
            try:
                row['peak_memory_mb'] = peak_memory(prepares[row['id']], conditions)
            except RuntimeError as error:
                record.notes.append(f'{row["id"]}: {error}')

    def finish(self, record: Record) -> Record:
        """Add what every record says: limits, spreads that are too wide, an early end."""
        record.complete = not self.interrupted
        record.rooflines = [roofline.describe() for roofline in self._rooflines.values()]
        if self.interrupted:
            record.notes.insert(0, 'Stopped by the user: what was measured until then is here.')
        wide = [row['id'] for row in record.measurements if row.get('wide_spread')]
        if wide:
            some = ', '.join(wide[:4]) + (', ...' if len(wide) > 4 else '')
            record.notes.append(
                f'The spread is too wide in {len(wide)} of {len(record.measurements)} measurements '
                f'({some}): other work ran on the machine, or the calls are very short. '
                'Quieten the machine or measure longer with --min-time.'
            )
        if self.conditions.quick:
            record.notes.append('A quick run: rough figures. Without --quick they are better.')
        return record
