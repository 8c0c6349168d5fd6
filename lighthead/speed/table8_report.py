"""The table, the scatter pictures and the sentences of ``tools/speed.py table8``."""

from collections.abc import Callable

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lighthead.speed.figures import COLOURS, MARKERS
from lighthead.speed.formatting import PANELS, number, phase_title, speed
from lighthead.speed.networks.catalogue import FAMILIES, stand_ins
from lighthead.speed.record import Picture, Result, Table

PAPER_TITLES = {
    'batched': 'paper: GTX 1080Ti, batch 8',
    'single': 'paper: Snapdragon 810, 1 thread',
}


def present(result: Result) -> None:
    """Fill in tables, pictures and notes from the measurements."""
    if result.measurements:
        result.tables.append(_table(result))
        correlations = _correlations(result)
        if correlations.rows:
            result.tables.append(correlations)
        result.pictures += _pictures(result)
    if result.settings['shape']:
        result.notes.append(
            "The size was set with --shape: the paper's figures are for its own sizes."
        )


def _table(result: Result) -> Table:
    cells: dict[str, dict[str, dict]] = {}
    for row in result.measurements:
        cells.setdefault(row['key'], {})[row['phase']] = row
    with_memory = any(row.get('peak_memory_mb') for row in result.measurements)
    columns = ['network', 'M MACs', "paper's MACs"]
    batched = next((row for row in result.measurements if row['phase'] == 'batched'), None)
    columns += [f'batches/s of {batched["batch"]}' if batched else 'batches/s', "paper's GPU"]
    columns += ['of limit', 'images/s 1 thread', "paper's ARM", 'of limit ', 'top-1 error']
    columns += ['M params', 'FLOPs/byte']
    columns += ['MiB'] if with_memory else []
    lines = []
    for found in cells.values():
        any_row = next(iter(found.values()))
        line = [network_name(any_row)]
        line += [number(any_row['macs'] / 1e6), number(any_row['paper_mflops'], 0)]
        for phase, field, _ in PANELS:
            row = found.get(phase)
            line.append(speed(row, field))
            line.append(number(row['paper_speed']) if row else '-')
            line.append(f'{row["roofline_share"]:.0%}' if row else '-')
        line.append(number(any_row['paper_error']))
        line += [number(any_row['parameters'] / 1e6), number(any_row['intensity'])]
        if with_memory:
            line.append(number(found.get('batched', {}).get('peak_memory_mb'), 0))
        lines.append(line)
    note = (
        'Speeds of the paper: batches of eight on a GTX 1080Ti; images on one thread of a '
        "Snapdragon 810; the errors are the paper's. Matched: the width that meets the paper's "
        'MACs where the nominal one does not or the paper gives none. Of limit: the roofline '
        'time of all operations over the measured '
        'time. ~: the spread is too wide.'
    )
    page_only = ('M params', 'FLOPs/byte', 'top-1 error', 'MiB')
    return Table(result.title, columns, lines, note, page_only=page_only)


def network_name(row: dict) -> str:
    """The network, its input where that is not 224x224, and whether it is a matched one."""
    size = f'{row["height"]}x{row["width"]}'
    at = '' if size == '224x224' else f' @{size}'
    return row['name'] + at + (' (matched)' if row['kind'] == 'matched' else '')


def _correlations(result: Result) -> Table:
    lines = []
    for phase, _, unit in PANELS:
        found = result.findings.get('rank_correlation', {}).get(phase)
        if found:
            names = ('with_paper', 'macs_with_speed', 'paper_macs_with_speed')
            values = ['-' if found[name] is None else f'{found[name]:.2f}' for name in names]
            lines.append([unit, str(found['networks']), *values])
    return Table(
        'Rank correlations (Spearman)',
        ('speed', 'networks', "ours with the paper's", 'MACs with our speed', 'MACs, paper'),
        lines,
        'One network per row of the table, the matched one where there is one. 1: the same order; '
        '-1: the fewer MACs, the faster.',
    )


def _pictures(result: Result) -> list[Picture]:
    keys = {network.key for network in stand_ins()}
    shown = [row for row in result.measurements if row['key'] in keys] or result.measurements
    phases = [panel for panel in PANELS if any(row['phase'] == panel[0] for row in shown)]

    def scatter(axis: Callable[[dict], float], label: str, log: bool) -> Callable[[Figure], None]:
        def draw(figure: Figure) -> None:
            grid = figure.subplots(2, len(phases), squeeze=False)
            for place, (phase, field, unit) in enumerate(phases):
                rows = [row for row in shown if row['phase'] == phase]
                titles = (phase_title(rows), PAPER_TITLES[phase])
                for line, name in enumerate((field, 'paper_speed')):
                    axes = grid[line][place]
                    _scatter(axes, rows, axis, name)
                    axes.set(xlabel=label if line else '', ylabel=unit, title=titles[line])
                    axes.set_yscale('log')
                    plain_ticks(axes, 'y')
                    if log:
                        axes.set_xscale('log')
                        plain_ticks(axes, 'x')
            handles, names = grid[0][0].get_legend_handles_labels()
            figure.legend(handles, names, loc='outside lower center', ncols=6)

        return draw

    complexity = scatter(lambda row: row['macs'] / 1e6, 'million MACs', True)
    error = scatter(lambda row: row['paper_error'], "top-1 error in % (paper's)", False)
    return [
        Picture(
            'macs_speed',
            "Complexity against speed, above measured here, below the paper's: networks of equal "
            'MACs differ in speed. Higher is faster; lines join the widths of a family.',
            complexity,
            (11, 9.6),
        ),
        Picture(
            'error_speed',
            "The paper's top-1 error against the speed, above measured here, below the paper's: "
            'up and to the left is better.',
            error,
            (11, 9.6),
        ),
    ]


def _scatter(axes: Axes, rows: list[dict], axis: Callable[[dict], float], field: str) -> None:
    for index, family in enumerate(FAMILIES):
        points = sorted(
            (axis(row), row[field]) for row in rows if row['family'] == family and row[field]
        )
        if points:
            own = family == 'ShuffleNet v2'
            axes.plot(
                *zip(*points, strict=True),
                marker=MARKERS[index % len(MARKERS)],
                markersize=8 if own else 6,
                linewidth=2 if own else 1,
                color=COLOURS[index % len(COLOURS)],
                label=family,
                zorder=3 if own else 2,
            )


def plain_ticks(axes: Axes, which: str) -> None:
    """Numbers such as 40 and 0.5 at the ticks of a logarithmic axis, not powers of ten."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axis = axes.xaxis if which == 'x' else axes.yaxis
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f'{value:g}'))
    axis.set_minor_formatter(NullFormatter())
