"""Tables and pictures of ``resolutions`` and ``blocks``: networks by columns, per input size."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from lighthead.speed.figures import grouped_bars
from lighthead.speed.formatting import PANELS, number, phase_title, speed
from lighthead.speed.record import Picture, Result, Table


def present(result: Result, column: str) -> None:
    """Fill in tables and pictures; ``column`` is the field that the columns differ in."""
    for phase, field, unit in PANELS:
        rows = [row for row in result.measurements if row['phase'] == phase]
        for size in dict.fromkeys((row['width'], row['height']) for row in rows):
            shown = [row for row in rows if (row['width'], row['height']) == size]
            result.tables.append(_table(shown, size, column, field, unit))
        if rows:
            result.pictures.append(_picture(rows, column, phase, field, unit))
    found = result.findings.get('rank_correlation', {})
    for phase, _, unit in PANELS:
        values = found.get(phase)
        if isinstance(values, float):
            values = {'all cells': values}
        texts = [f'{name} {value:.2f}' for name, value in (values or {}).items() if value]
        if texts:
            result.notes.append(f'Rank correlation with the paper, {unit}: {", ".join(texts)}.')


def _table(rows: list[dict], size: tuple[int, int], column: str, field: str, unit: str) -> Table:
    names = list(dict.fromkeys(row[column] for row in rows))
    columns = ['network']
    for name in names:
        columns += [name, f"{name} paper's", f'{name} M MACs']
    lines = []
    for network in dict.fromkeys(row['name'] for row in rows):
        cells = {row[column]: row for row in rows if row['name'] == network}
        line = [network]
        for name in names:
            row = cells.get(name)
            apart = '*' if row and row.get('paper_apart') and row['phase'] == 'batched' else ''
            line += [
                speed(row, field),
                number(row['paper_speed']) + apart if row else '-',
                number(row['macs'] / 1e6, 0) if row else '-',
            ]
        lines.append(line)
    machine = 'GTX 1080Ti' if field == 'batches_per_s' else 'one thread of a Snapdragon 810'
    note = f"The paper's figures: {machine}. ~: the spread is too wide."
    if any('*' in cell for line in lines for cell in line):
        note += ' *: measured differently in the paper.'
    title = f'{size[0]}x{size[1]}: {unit} ({phase_title(rows)})'
    return Table(title, columns, lines, note)


def _picture(rows: list[dict], column: str, phase: str, field: str, unit: str) -> Picture:
    sizes = list(dict.fromkeys((row['width'], row['height']) for row in rows))
    names = list(dict.fromkeys(row[column] for row in rows))
    networks = list(dict.fromkeys(row['name'] for row in rows))

    def relative(size: tuple[int, int], which: str) -> list[tuple[str, Sequence[float | None]]]:
        cells = {
            (row['name'], row[column]): row[which]
            for row in rows
            if (row['width'], row['height']) == size
        }
        series = []
        for network in networks:
            values = []
            for name in names:
                own, base = cells.get((network, name)), cells.get((networks[0], name))
                values.append(own / base if own and base else None)
            series.append((network, values))
        return series

    def draw(figure: Figure) -> None:
        panels = figure.subplots(2, len(sizes), squeeze=False, sharey=True)
        for place, size in enumerate(sizes):
            for line, (which, title) in enumerate(((field, 'here'), ('paper_speed', 'paper'))):
                axes = panels[line][place]
                grouped_bars(axes, names, relative(size, which))
                axes.axhline(1, color='#343a40', linewidth=1, linestyle='--')
                axes.set_title(f'{size[0]}x{size[1]}, {title}')
        for axes in panels[:, 0]:
            axes.set_ylabel(f'speed over {networks[0]}')
        handles, labels = panels[0][0].get_legend_handles_labels()
        figure.legend(handles, labels, loc='outside lower center', ncols=len(labels))

    caption = (
        f'Speed relative to {networks[0]} at equal complexity ({unit}, {phase_title(rows)}): '
        'above, measured here; below, the paper.'
    )
    return Picture(f'{phase}_speed', caption, draw, (4.2 * len(sizes), 6.4))
