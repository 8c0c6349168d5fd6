"""Tables and charts of networks by columns, here and in the paper."""

from collections.abc import Sequence

from lighthead.report.page import Bars, Chart, Page, Table, number
from lighthead.speed.harness.record import Record
from lighthead.speed.harness.statistics import rank_correlation
from lighthead.speed.report import speed, unique

PANELS = (
    # phase, field, unit
    ('batched', 'batches_per_s', 'batches/s'),
    ('single', 'images_per_s', 'images/s, one thread'),
)
"""The two phases of :mod:`lighthead.speed.experiments.cells`."""
PAPER_MACHINES = {
    'batches_per_s': 'GTX 1080Ti',
    'images_per_s': 'one thread of a Snapdragon 810',
}


def correlation_with_paper(rows: Sequence[dict], field: str) -> float | None:
    """Spearman's rank correlation of the speeds here and the paper's, where it has them."""
    known = [row for row in rows if row['paper_speed'] is not None]
    return rank_correlation([row[field] for row in known], [row['paper_speed'] for row in known])


def phase_title(rows: Sequence[dict]) -> str:
    """The condition that the rows were measured in."""
    row = rows[0]
    where = 'GPU' if row['device'] == 'cuda' else f'CPU, {row["threads"]} thread(s)'
    return f'{where}, batch {row["batch"]}'


def grid_page(record: Record, column: str, correlations: dict) -> Page:
    """A table for each phase and input size, a chart for each phase.

    Args:
        record: Of all phases and sizes.
        column: The field that the columns differ in.
        correlations: Rank correlations with the paper, by phase and by what they cover.
    """
    page = Page(record.title)
    for phase, field, unit in PANELS:
        rows = [row for row in record.measurements if row['phase'] == phase]
        if not rows:
            continue
        by_size: dict[str, list[dict]] = {}
        for row in rows:
            by_size.setdefault(f'{row["width"]}x{row["height"]}', []).append(row)
        for size, shown in by_size.items():
            heading = f'{size}: {unit} ({phase_title(shown)})'
            page.tables.append(grid_table(heading, shown, column, field))
        condition = f'{unit}, {phase_title(rows)}'
        page.charts.append(_phase_chart(f'{phase}_speed', condition, by_size, column, field))
        values = correlations.get(phase) or {}
        texts = [f'{name} {value:.2f}' for name, value in values.items() if value is not None]
        if texts:
            page.notes.append(f'Rank correlation with the paper, {unit}: {", ".join(texts)}.')
    return page


def _phase_chart(
    name: str, condition: str, by_size: dict[str, list[dict]], column: str, field: str
) -> Chart:
    """Relative speeds of each size, above those here, below the paper's."""
    panels = [
        [relative_bars(f'{size}, {where}', shown, column, which) for size, shown in by_size.items()]
        for where, which in (('here', field), ('paper', 'paper_speed'))
    ]
    first = next(iter(by_size.values()))[0]['name']
    return Chart(
        name,
        f'Speed relative to {first} at equal complexity ({condition}): '
        'above, measured here (lines: p10 to p90 of the calls); below, the paper.',
        panels,
        ylabel=f'speed over {first}',
        reference=1,
        size=(4.2 * len(by_size), 6.4),
    )


def grid_table(
    title: str, rows: Sequence[dict], column: str, field: str, first: str = 'network'
) -> Table:
    """Networks by columns, each with the speed here, the paper's, and the MACs.

    Channels are shown where ``first`` names a guideline's table instead of networks.
    """
    names = unique(rows, column)
    with_channels = first != 'network'
    columns = [first] + (['channels (x1)'] if with_channels else [])
    for name in names:
        columns += [name, f"{name} paper's", f'{name} M MACs']
    lines = []
    for network in unique(rows, 'name'):
        cells = {row[column]: row for row in rows if row['name'] == network}
        line = [network]
        if with_channels:
            line.append(', '.join(map(str, next(iter(cells.values()))['channels'])))
        for name in names:
            row = cells.get(name)
            apart = '*' if row and row.get('paper_apart') and row['phase'] == 'batched' else ''
            line.append(speed(row, field))
            line.append(number(row['paper_speed']) + apart if row else '-')
            line.append(number(row['macs'] / 1e6, 0) if row else '-')
        lines.append(line)
    note = f"The paper's figures: {PAPER_MACHINES[field]}. ~: the spread is too wide."
    if any('*' in cell for line in lines for cell in line):
        note += ' *: measured differently in the paper.'
    return Table(title, columns, lines, note, text_columns=2 if with_channels else 1)


def relative_bars(title: str, rows: Sequence[dict], column: str, field: str) -> Bars:
    """Speed of each network over the first one's, by column."""
    cells = {(row['name'], row[column]): row for row in rows}
    names, columns = unique(rows, 'name'), unique(rows, column)
    series: dict[str, list] = {name: [] for name in names}
    ends: dict[str, list] = {name: [] for name in names}
    for name in names:
        for place in columns:
            own, base = cells.get((name, place)), cells.get((names[0], place))
            if own and base and own[field] and base[field]:
                median = base['ms_median']
                series[name].append(own[field] / base[field])
                ends[name].append((median / own['ms_p90'], median / own['ms_p10']))
            else:
                series[name].append(None)
                ends[name].append(None)
    return Bars(title, columns, series, {} if field == 'paper_speed' else ends)
