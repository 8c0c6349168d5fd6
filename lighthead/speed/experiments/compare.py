"""Two records next to each other: two machines, or two versions."""

from pathlib import Path

from lighthead.errors import UserError
from lighthead.report.page import Bars, Chart, Page, Table
from lighthead.speed.harness.record import Record, read_record
from lighthead.speed.report import machine_line

MATTERS = ('batch', 'height', 'width', 'threads', 'precision', 'device')
"""Fields that should be equal for two measurements to be compared."""


def compare(first: Path, second: Path) -> Record:
    """The measurements that both files have, with the ratio of their speeds."""
    a, b = read_record(first), read_record(second)
    if a.subcommand != b.subcommand:
        raise UserError(
            f'{first} is of {a.subcommand} and {second} of {b.subcommand}: '
            'give two results of the same subcommand.'
        )
    others = {row['id']: row for row in b.measurements}
    pairs = [(row, others[row['id']]) for row in a.measurements if row['id'] in others]
    if not pairs:
        raise UserError(f'{first} and {second} have no measurement in common.')
    title = f'Two measurements of {a.subcommand}: A and B'
    record = Record('compare', title, a.settings, a.machine)
    for letter, one in (('a', a), ('b', b)):
        origin = {'machine': one.machine, 'settings': one.settings, 'date': one.date}
        record.findings[letter] = origin
        line = machine_line(one.machine, one.settings)
        record.notes.append(f'{letter.upper()}: {line}, {one.date}.')
    record.measurements = [_compared(*pair) for pair in pairs]
    different = sorted({n for row, other in pairs for n in MATTERS if row.get(n) != other.get(n)})
    if different:
        record.notes.append(f'A and B differ in {", ".join(different)}: mind this in the ratios.')
    missing = len(a.measurements) + len(b.measurements) - 2 * len(pairs)
    if missing:
        record.notes.append(f'{missing} measurement(s) are in one of the files only.')
    return record


def _compared(row: dict, other: dict) -> dict:
    """A measurement of both files: its speeds, B's over A's, and whether their times overlap."""
    return {
        'id': row['id'],
        'name': row['id'],
        'images_per_s': row['images_per_s'],
        'images_per_s_b': other['images_per_s'],
        'ratio': other['images_per_s'] / row['images_per_s'],
        'overlap': row['ms_p10'] <= other['ms_p90'] and other['ms_p10'] <= row['ms_p90'],
    }


def layout(record: Record) -> Page:
    """The ratio of each measurement, and which machine or version is faster."""
    rows = record.measurements
    lines = []
    for row in rows:
        faster = 'within the spread' if row['overlap'] else 'B' if row['ratio'] > 1 else 'A'
        numbers = [f'{row[name]:.2f}' for name in ('images_per_s', 'images_per_s_b', 'ratio')]
        lines.append([row['id'], *numbers, faster])
    columns = ('measurement', 'A', 'B', 'B / A', 'faster')
    note = 'Within the spread: the times from p10 to p90 overlap.'
    ratios = {
        'B is faster': [row['ratio'] if row['ratio'] >= 1 else 0 for row in rows],
        'A is faster': [row['ratio'] if row['ratio'] < 1 else 0 for row in rows],
    }
    chart = Chart(
        'compare',
        'Speed of B over speed of A: beyond the dashed line, B is faster.',
        [[Bars('', [row['id'] for row in rows], ratios)]],
        xlabel='speed of B over speed of A',
        horizontal=True,
        stacked=True,
        reference=1,
        size=(9.0, 1.6 + 0.28 * len(rows)),
    )
    table = Table('images/s', columns, lines, note)
    return Page(record.title, charts=[chart], tables=[table])
