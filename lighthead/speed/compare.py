"""Two results side by side: two machines, or two versions."""

from pathlib import Path

from matplotlib.figure import Figure

from lighthead.errors import UserError
from lighthead.speed.console import machine_line
from lighthead.speed.figures import COLOURS
from lighthead.speed.record import Picture, Result, Table, read_result

MATTERS = ('batch', 'height', 'width', 'threads', 'precision', 'device')
"""Fields that should be equal for two measurements to be compared."""


def run(first: Path, second: Path) -> Result:
    """The measurements that both files have, with the ratio of their speeds."""
    a, b = read_result(first), read_result(second)
    if a['subcommand'] != b['subcommand']:
        raise UserError(
            f'{first} is of {a["subcommand"]} and {second} of {b["subcommand"]}: '
            'give two results of the same subcommand.'
        )
    others = {row['id']: row for row in b['measurements']}
    pairs = [(row, others[row['id']]) for row in a['measurements'] if row['id'] in others]
    if not pairs:
        raise UserError(f'{first} and {second} have no measurement in common.')
    result = Result(
        'compare',
        f'Two measurements of {a["subcommand"]}: A and B',
        a['settings'],
        a['machine'],
    )
    result.findings = {'a': _origin(a), 'b': _origin(b)}
    for own, other in pairs:
        result.measurements.append(
            {
                'id': own['id'],
                'name': own['id'],
                'images_per_s': own['images_per_s'],
                'images_per_s_b': other['images_per_s'],
                'ratio': other['images_per_s'] / own['images_per_s'],
                'overlap': _overlap(own, other),
            }
        )
    _present(result, a, b, pairs)
    return result


def _origin(content: dict) -> dict:
    return {name: content[name] for name in ('machine', 'settings', 'date')}


def _overlap(own: dict, other: dict) -> bool:
    """Whether the intervals p10 to p90 of the two times overlap."""
    return own['ms_p10'] <= other['ms_p90'] and other['ms_p10'] <= own['ms_p90']


def _present(result: Result, a: dict, b: dict, pairs: list[tuple[dict, dict]]) -> None:
    lines = []
    for row in result.measurements:
        sure = 'within the spread' if row['overlap'] else 'B' if row['ratio'] > 1 else 'A'
        lines.append(
            [
                row['id'],
                f'{row["images_per_s"]:.2f}',
                f'{row["images_per_s_b"]:.2f}',
                f'{row["ratio"]:.2f}',
                sure,
            ]
        )
    result.tables.append(
        Table(
            f'{a["subcommand"]}: images/s',
            ('measurement', 'A', 'B', 'B / A', 'faster'),
            lines,
            'Within the spread: the times from p10 to p90 overlap.',
        )
    )
    for name, content in (('A', a), ('B', b)):
        line = machine_line(content['machine'], content['settings'])
        result.notes.append(f'{name}: {line}, {content["date"]}.')
    different = sorted({n for own, other in pairs for n in MATTERS if own.get(n) != other.get(n)})
    if different:
        result.notes.append(f'A and B differ in {", ".join(different)}: mind this in the ratios.')
    missing = len(a['measurements']) + len(b['measurements']) - 2 * len(pairs)
    if missing:
        result.notes.append(f'{missing} measurement(s) are in one of the files only.')
    result.pictures.append(_picture(result))


def _picture(result: Result) -> Picture:
    rows = result.measurements

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        names = [row['id'] for row in rows]
        colours = [COLOURS[0] if row['ratio'] >= 1 else COLOURS[1] for row in rows]
        axes.barh(names, [row['ratio'] for row in rows], color=colours)
        axes.axvline(1, color='#343a40', linewidth=1, linestyle='--')
        axes.invert_yaxis()
        axes.set_xlabel('speed of B over speed of A')
        axes.grid(axis='y', visible=False)

    caption = 'Speed of B over speed of A: beyond the dashed line, B is faster.'
    return Picture('compare', caption, draw, (9.0, 1.2 + 0.28 * len(rows)))
