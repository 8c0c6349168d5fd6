"""Timing the networks of a table: what table8, resolutions, blocks and guidelines share.

The paper has two conditions. Its GPU column counts batches per second; its ARM column counts
images per second on one CPU thread.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import torch.nn as nn

from lighthead.errors import UserError
from lighthead.speed.harness.bench import Bench
from lighthead.speed.harness.complexity import Complexity, count_on_meta
from lighthead.speed.harness.conditions import QUICK_SECONDS, Conditions
from lighthead.speed.harness.prepared import prepare_call
from lighthead.speed.harness.record import Record, complexity_fields, timing_fields
from lighthead.speed.harness.timer import Workload

COVERS = 'forward pass, images on the device'
PAPER_UNITS = {'gpu': 'batches/s, GTX 1080Ti', 'arm': 'images/s, Snapdragon 810, one thread'}


class Cell(NamedTuple):
    """A network to be timed at one input size.

    ``facts`` are fields of its measurements that are known beforehand; ``paper`` has the
    paper's figures, ``gpu`` and ``arm``.
    """

    key: str
    build: Callable[[], nn.Module]
    channels: int
    size: tuple[int, int]
    facts: dict
    paper: Mapping[str, float | None]


class Phase(NamedTuple):
    """A condition of measuring; ``column`` is the paper's that it stands next to."""

    name: str
    column: str
    conditions: Conditions
    threads: int
    batch: int

    def id_of(self, cell: Cell) -> str:
        """Name of the cell's measurement."""
        return f'{cell.key} {self.name}'.strip()

    def prepare(self, cell: Cell) -> Callable[[], Callable[[], object]]:
        """What makes the call that is timed."""
        shape = (self.batch, cell.channels, *cell.size)
        return partial(prepare_call, cell.build, shape, self.conditions)


def both_phases(conditions: Conditions, batch: int) -> tuple[Phase, Phase]:
    """Batches on the device with all threads, and single images on one CPU thread.

    ``--batch`` and ``--threads`` change the first; ``--device`` too.
    """
    batch = conditions.batch or batch
    batched = Phase('batched', 'gpu', conditions, conditions.all_threads, batch)
    return batched, Phase('single', 'arm', conditions.on_cpu(1), 1, 1)


def measure_cells(
    bench: Bench,
    record: Record,
    cells: Sequence[Cell],
    phases: Sequence[Phase],
    seconds: float = QUICK_SECONDS,
    covers: str = COVERS,
) -> None:
    """Count and time the cells in every phase; fewer after Ctrl-C."""
    with bench.stoppable():
        complexities = {cell.key: _count(cell) for cell in bench.each('counting MACs', cells)}
        for phase in phases:
            if bench.interrupted:
                break
            roofline = bench.roofline(phase.conditions, phase.threads)
            works = {cell.key: _workload(cell, phase) for cell in bench.each('building', cells)}
            plan = bench.conditions.plan(1 / len(phases), seconds)
            title = f'{phase.conditions.device}, batch {phase.batch}'
            timings = bench.time(title, list(works.values()), phase.threads, plan, phase.conditions)
            for cell in (cell for cell in cells if cell.key in timings):
                timing = timings[cell.key]
                record.measurements.append(
                    {'id': phase.id_of(cell), 'phase': phase.name}
                    | cell.facts
                    | timing_fields(timing, phase.conditions, phase.threads, cell.size, covers)
                    | complexity_fields(complexities[cell.key], timing, roofline)
                    | {
                        'paper_speed': cell.paper[phase.column],
                        'paper_unit': PAPER_UNITS[phase.column],
                    }
                )


def add_memory(bench: Bench, record: Record, cells: Sequence[Cell], phase: Phase) -> None:
    """Add the peak memory of every cell to its measurement in a phase."""
    prepares = {phase.id_of(cell): phase.prepare(cell) for cell in cells}
    with bench.stoppable():
        bench.add_memory(record, prepares, phase.conditions)


def _count(cell: Cell) -> Complexity:
    height, width = cell.size
    try:
        return count_on_meta(cell.build, (1, cell.channels, height, width))
    except RuntimeError as error:
        raise UserError(
            f'{cell.key} cannot run on images of {height}x{width} ({error}): take another size.'
        ) from error


def _workload(cell: Cell, phase: Phase) -> Workload:
    try:
        return Workload(cell.key, phase.prepare(cell)(), phase.batch)
    except UserError as error:
        raise UserError(f'{cell.key}: {error}') from error
