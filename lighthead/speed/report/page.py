"""What a report shows, as data: tables of text and charts of numbers."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from lighthead.speed.harness.record import Record

Interval = tuple[float, float]


@dataclass
class Table:
    """A table as it is shown: cells are text already.

    Attributes:
        text_columns: How many columns, from the left, hold text and not numbers.
        page_only: Columns that are left out in a terminal.
    """

    title: str
    columns: Sequence[str]
    rows: list[Sequence[str]]
    note: str = ''
    text_columns: int = 1
    page_only: tuple[str, ...] = ()


@dataclass
class Bars:
    """Bars for each group and series; ``ends`` are the (low, high) of a bar's error line."""

    title: str
    groups: Sequence[str]
    series: dict[str, Sequence[float | None]]
    ends: dict[str, Sequence[Interval | None]] = field(default_factory=dict)


@dataclass
class Lines:
    """Points (x, y) of each series, joined by lines; the emphasised series stands out."""

    title: str
    series: dict[str, list[tuple[float, float]]]
    emphasised: str = ''


@dataclass
class Chart:
    """Rows of panels that share their axes' labels and the legend.

    Attributes:
        name: The file's stem.
        stacked: Bars of a group follow each other, instead of standing side by side.
        labelled: Each stacked bar carries its value.
        log: The logarithmic axes: '', 'x', 'y' or 'xy'.
        reference: Where a dashed line is drawn.
        size: Width and height in inches.
    """

    name: str
    caption: str
    panels: Sequence[Sequence[Bars | Lines]]
    xlabel: str = ''
    ylabel: str = ''
    horizontal: bool = False
    stacked: bool = False
    labelled: bool = False
    log: str = ''
    reference: float | None = None
    size: tuple[float, float] = (9.0, 5.0)


@dataclass
class Page:
    """Charts first, then tables; ``notes`` are what the reader should know about them."""

    charts: list[Chart] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def number(value: float | None, digits: int = 1) -> str:
    """The number as text, with two significant digits or more; '-' for none."""
    if value is None:
        return '-'
    if digits and 0 < abs(value) < 1:
        return f'{value:.2g}'
    return f'{value:.0f}' if abs(value) >= 100 else f'{value:.{digits}f}'


def speed(row: dict | None, field: str) -> str:
    """A speed as text, marked with ~ where its spread is too wide."""
    if row is None:
        return '-'
    return ('~' if row['wide_spread'] else '') + number(row[field])


def unique(rows: Sequence[dict], field: str) -> list:
    """The different values of a field, in the order of the rows."""
    return list(dict.fromkeys(row[field] for row in rows))


def machine_line(machine: dict, settings: dict) -> str:
    """One line that says on what and how it was measured."""
    device = machine.get('gpu') if settings['device'] == 'cuda' else machine['cpu']
    parts = [
        f'{device}',
        f'{machine["cpu_cores"]} CPU cores ({machine["cpu_capability"]})',
        f'torch {machine["versions"].get("torch", "?")}',
        f'python {machine["python"]}',
        settings['precision'],
    ]
    flags = [name for name in ('fuse_bn', 'channels_last', 'compile', 'quick') if settings[name]]
    return ', '.join(parts + [flag.replace('_', '-') for flag in flags])


def fact_lines(record: Record) -> list[str]:
    """What a page says first: the machine, its limits, what was timed, and when."""
    lines = [machine_line(record.machine, record.settings)]
    for limit in record.rooflines:
        lines.append(
            f'Machine limit: {limit["device"]}, {limit["threads"]} thread(s), '
            f'{limit["precision"]}: peak {limit["peak"] / 1e9:.0f} GFLOP/s (matrix product), '
            f'bandwidth {limit["bandwidth"] / 1e9:.1f} GB/s (copy)'
        )
    covers = sorted({row['covers'] for row in record.measurements if row.get('covers')})
    lines += [f'Times cover: {text}' for text in covers]
    return [*lines, f'lighthead speed {record.subcommand}, {record.date}']
