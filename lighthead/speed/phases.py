"""Timing many networks under one condition: what table8, resolutions and blocks share.

The paper has two conditions. Its GPU column counts batches per second; its ARM
column counts images per second on one CPU thread.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import torch.nn as nn

from lighthead.errors import UserError
from lighthead.speed.bench import Bench
from lighthead.speed.complexity import Complexity, count_on_meta
from lighthead.speed.memory import peak_memory
from lighthead.speed.prepare import prepare_call
from lighthead.speed.record import complexity_fields, timing_fields
from lighthead.speed.settings import QUICK_SECONDS, Settings
from lighthead.speed.timer import Workload

COVERS = 'forward pass, images on the device'


class Subject(NamedTuple):
    """A network to be timed at one size."""

    key: str
    build: Callable[[], nn.Module]
    channels: int
    size: tuple[int, int]
    facts: dict
    """Fields of its measurements that are known beforehand."""
    paper: dict[str, float | None]
    """The paper's figures: 'gpu' and 'arm'."""


class Phase(NamedTuple):
    """A condition of measuring."""

    name: str
    column: str
    """The paper's column: gpu or arm."""
    settings: Settings
    threads: int
    batch: int
    unit: str

    @property
    def field(self) -> str:
        """The measurement's field that stands beside the paper's figure."""
        return 'batches_per_s' if self.column == 'gpu' else 'images_per_s'

    @property
    def title(self) -> str:
        """The condition in a few words."""
        device = self.settings.torch_device.type
        where = 'GPU' if device == 'cuda' else f'CPU, {self.threads} thread(s)'
        return f'{where}, batch {self.batch}'


PAPER_UNITS = {'gpu': 'batches/s, GTX 1080Ti', 'arm': 'images/s, Snapdragon 810, one thread'}


def both_phases(settings: Settings, batch: int) -> tuple[Phase, Phase]:
    """Batches on the device with all threads, and single images on one CPU thread.

    ``--batch`` and ``--threads`` change the first; ``--device`` too.
    """
    batched = Phase(
        'batched', 'gpu', settings, settings.all_threads, settings.batch or batch, 'batches/s'
    )
    single = Phase('single', 'arm', settings.on_cpu(1), 1, 1, 'images/s')
    return batched, single


def count_all(bench: Bench, subjects: Sequence[Subject]) -> dict[str, Complexity]:
    """Complexity of one image, by the subject's key."""
    found = {}
    for subject in bench.each('counting MACs', subjects):
        shape = (1, subject.channels, *subject.size)
        try:
            found[subject.key] = count_on_meta(subject.build, shape)
        except RuntimeError as error:
            height, width = subject.size
            raise UserError(
                f'{subject.key} cannot run on images of {height}x{width}: take another --shape.'
            ) from error
    return found


def run_phase(
    bench: Bench,
    phase: Phase,
    subjects: Sequence[Subject],
    complexities: dict[str, Complexity],
    share: float,
    seconds: float = QUICK_SECONDS,
) -> list[dict]:
    """The measurements of all subjects in one phase; fewer where the user stopped it."""
    roofline = bench.roofline(phase.settings, phase.threads)
    workloads = []
    for subject in bench.each(f'{phase.title}: building', subjects):
        shape = (phase.batch, subject.channels, *subject.size)
        try:
            call = prepare_call(subject.build, shape, phase.settings)
        except UserError as error:
            raise UserError(f'{subject.key}: {error}') from error
        workloads.append(Workload(subject.key, call, phase.batch))
    plan = bench.settings.plan(share, seconds)
    timings = bench.time(phase.title, workloads, phase.threads, plan, phase.settings)
    rows = []
    for subject in subjects:
        if subject.key not in timings:
            continue
        timing = timings[subject.key]
        rows.append(
            {'id': f'{subject.key} {phase.name}', 'phase': phase.name}
            | subject.facts
            | timing_fields(timing, phase.settings, phase.threads, subject.size, COVERS)
            | complexity_fields(
                complexities[subject.key], timing, roofline, phase.settings.precision
            )
            | {
                'paper_speed': subject.paper[phase.column],
                'paper_unit': PAPER_UNITS[phase.column],
            }
        )
    return rows


def add_memory(bench: Bench, phase: Phase, subjects: Sequence[Subject], rows: list[dict]) -> None:
    """Add the peak memory of each subject to its measurement, each in a process of its own."""
    if bench.settings.quick or not bench.settings.memory:
        return
    by_id = {row['id']: row for row in rows}
    for subject in bench.each('peak memory', subjects):
        row = by_id.get(f'{subject.key} {phase.name}')
        if row is not None:
            shape = (phase.batch, subject.channels, *subject.size)
            prepare = partial(prepare_call, subject.build, shape, phase.settings)
            row['peak_memory_mb'] = peak_memory(prepare, phase.settings)
