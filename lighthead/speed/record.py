"""What a run of ``tools/speed.py`` leaves behind: results.json and results.csv.

The field names are documented in :data:`FIELDS`, which is written into every
results.json.
"""

import csv
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from matplotlib.figure import Figure

from lighthead.errors import UserError
from lighthead.speed.complexity import Complexity
from lighthead.speed.machine import Roofline
from lighthead.speed.settings import Settings
from lighthead.speed.timer import Timing

FORMAT = 'lighthead-speed'
FORMAT_VERSION = 1

FIELDS = {
    'id': 'name of the measurement, unique within its subcommand',
    'name': 'what was timed',
    'kind': "nominal, or matched to the paper's complexity (table8, resolutions)",
    'covers': 'what the time covers',
    'device': 'cpu or cuda',
    'threads': 'CPU threads of torch',
    'precision': 'fp32, bf16 or fp16 (the latter two under autocast)',
    'batch': 'images per call',
    'height': 'height of the input in pixels',
    'width': 'width of the input in pixels',
    'date': 'when it was recorded, UTC',
    'ms_median': 'median time of a call in milliseconds',
    'ms_p10': 'a tenth of the calls was faster than this, in milliseconds',
    'ms_p90': 'a tenth of the calls was slower than this, in milliseconds',
    'spread': '(p90 - p10) / median',
    'wide_spread': 'whether the spread is too wide, or the calls are too few, to trust the median',
    'rounds': 'alternating rounds in which it was timed',
    'calls': 'timed calls in all rounds',
    'round_ms': 'median of each round in milliseconds, in the order of the rounds',
    'images_per_s': 'images per second, of the median call',
    'batches_per_s': 'calls per second, of the median call',
    'macs': "multiply-adds per image (the paper's FLOPs)",
    'parameters': 'weights of the network',
    'activations': 'output elements of convolutions and fully connected layers, per image',
    'memory_access': "the paper's memory access cost in elements, batch of one: what convolutions "
    'and fully connected layers read and write',
    'memory_access_all': 'the same over all operations',
    'intensity': 'FLOPs (2 per multiply-add) per byte of memory_access_all',
    'roofline_ms': "time of the batch if each operation ran at the slower of the machine's limits",
    'roofline_share': 'roofline_ms / ms_median: what fraction of its limit the network reaches; '
    'above 1 where operations are fused or stay in the cache',
    'peak_memory_mb': 'peak memory of one call in MiB, in a process of its own',
    'paper_speed': "the paper's figure for this",
    'paper_unit': "unit and machine of the paper's figure",
    'paper_mflops': "the paper's multiply-adds in millions",
    'paper_error': "the paper's top-1 error on ImageNet in %",
}


@dataclass
class Table:
    """A table as it is shown: cells are text already."""

    title: str
    columns: Sequence[str]
    rows: list[Sequence[str]]
    note: str = ''
    text_columns: int = 1
    """How many columns, from the left, hold text and not numbers."""
    page_only: tuple[str, ...] = ()
    """Columns that are left out in a terminal."""


@dataclass
class Picture:
    """A picture: file stem, caption, and what draws it onto a figure."""

    name: str
    caption: str
    draw: Callable[[Figure], None]
    size: tuple[float, float] = (8.0, 5.0)


@dataclass
class Result:
    """Everything that a subcommand found out."""

    subcommand: str
    title: str
    settings: dict
    machine: dict
    measurements: list[dict] = field(default_factory=list)
    findings: dict = field(default_factory=dict)
    """Verdicts, correlations and the like, in plain values."""
    rooflines: list[dict] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """Sentences for the reader."""
    tables: list[Table] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)
    complete: bool = True
    date: str = field(default_factory=lambda: now())

    def as_dict(self) -> dict:
        """The content of results.json."""
        return {
            'format': FORMAT,
            'format_version': FORMAT_VERSION,
            'subcommand': self.subcommand,
            'title': self.title,
            'date': self.date,
            'complete': self.complete,
            'machine': self.machine,
            'settings': self.settings,
            'rooflines': self.rooflines,
            'findings': self.findings,
            'notes': self.notes,
            'measurements': self.measurements,
            'fields': FIELDS,
        }


def now() -> str:
    """The time in UTC, to the second."""
    return datetime.now(UTC).strftime('%Y-%m-%dT%H:%M:%SZ')


def timing_fields(
    timing: Timing, settings: Settings, threads: int, shape: tuple[int, int], covers: str
) -> dict:
    """The fields of a measurement that come from its timing."""
    return {
        'covers': covers,
        'device': settings.torch_device.type,
        'threads': threads,
        'precision': settings.precision,
        'batch': timing.items,
        'height': shape[0],
        'width': shape[1],
        'date': now(),
        'ms_median': timing.median * 1e3,
        'ms_p10': timing.p10 * 1e3,
        'ms_p90': timing.p90 * 1e3,
        'spread': timing.spread,
        'wide_spread': timing.is_wide,
        'rounds': len(timing.rounds),
        'calls': len(timing.samples),
        'round_ms': [round(value * 1e3, 4) for value in timing.round_medians],
        'images_per_s': timing.items_per_second,
        'batches_per_s': 1 / timing.median,
    }


def complexity_fields(
    complexity: Complexity, timing: Timing, roofline: Roofline | None, precision: str
) -> dict:
    """The fields of a measurement that come from counting; ``complexity`` is of one image."""
    size = 4 if precision == 'fp32' else 2
    fields = {
        'macs': complexity.macs,
        'parameters': complexity.parameters,
        'activations': complexity.activations,
        'memory_access': complexity.memory_access,
        'memory_access_all': complexity.memory_access_all,
        'intensity': complexity.intensity(size),
    }
    if roofline is not None:
        least = complexity.least_time(roofline.peak, roofline.bandwidth, size) * timing.items
        fields |= {'roofline_ms': least * 1e3, 'roofline_share': least / timing.median}
    return fields


def write_json(result: Result, path: Path) -> None:
    """Write results.json."""
    path.write_text(json.dumps(result.as_dict(), indent=1) + '\n')


def write_csv(result: Result, path: Path) -> None:
    """Write results.csv: one line per measurement, with the machine's models in each."""
    machine = {'cpu': result.machine['cpu'], 'gpu': result.machine['gpu']}
    nested = {'round_ms', 'parts', 'shares', 'channels'}
    used = {key for row in result.measurements for key in row} - nested
    columns = [name for name in FIELDS if name in used]
    columns += sorted(used - set(columns))
    with path.open('w', newline='') as file:
        writer = csv.DictWriter(file, [*columns, *machine], extrasaction='ignore')
        writer.writeheader()
        for row in result.measurements:
            writer.writerow(row | machine)


def read_result(path: Path) -> dict:
    """The content of a results.json; a UserError names what is wrong with it."""
    if path.is_dir():
        path = path / 'results.json'
    if not path.is_file():
        raise UserError(f'{path} is not there: give a results.json that tools/speed.py wrote.')
    try:
        content = json.loads(path.read_text())
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UserError(f'{path} is not readable as JSON ({error}).') from None
    if not isinstance(content, dict) or content.get('format') != FORMAT:
        raise UserError(f'{path} was not written by tools/speed.py: its format is not {FORMAT}.')
    if content.get('format_version') != FORMAT_VERSION:
        raise UserError(
            f'{path} has format version {content.get("format_version")}, this lighthead reads '
            f'{FORMAT_VERSION}: measure again.'
        )
    return content
