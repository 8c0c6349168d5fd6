"""The tables, pictures and sentences of ``tools/speed.py guidelines``."""

from matplotlib.figure import Figure

from lighthead.speed.figures import grouped_bars
from lighthead.speed.formatting import number
from lighthead.speed.guidelines import SCALES
from lighthead.speed.paper.guidelines import GUIDELINES, Guideline
from lighthead.speed.record import Picture, Result, Table


def present(result: Result) -> None:
    """Fill in tables, pictures and notes from the measurements."""
    gpu = result.settings['device'] == 'cuda'
    if result.findings:
        result.tables.append(_verdicts(result))
    for guideline in GUIDELINES:
        rows = [row for row in result.measurements if row['guideline'] == guideline.name]
        if rows:
            result.tables.append(_table(guideline, rows, gpu))
            result.pictures.append(_picture(guideline, rows, gpu))
    result.notes.append(
        'A guideline holds here where the bootstrap 95 % interval of the speed ratio, the '
        'recommended block over the others at equal FLOPs, lies above 1.'
    )


def _verdicts(result: Result) -> Table:
    rows = []
    for guideline in GUIDELINES:
        found = result.findings.get(guideline.name)
        if found:
            verdicts = [cell['verdict'] for cell in found['cells'].values()]
            holds = f'{verdicts.count("holds here")} of {len(verdicts)}'
            interval = f'{found["low"]:.2f} to {found["high"]:.2f}'
            rows.append(
                (
                    f'{guideline.name} {guideline.title}',
                    found['verdict'],
                    f'{found["ratio"]:.2f}',
                    interval,
                    f'{_paper_ratio(guideline, result.settings["device"] == "cuda"):.2f}',
                    holds,
                )
            )
    return Table(
        'Verdicts',
        ('guideline', 'verdict', 'speed ratio', '95 % interval', "paper's ratio", 'single cells'),
        rows,
        'Speed ratio: the recommended block over the other rows, geometric mean over rows and '
        'widths, in MACs per second. Single cells: in how many the guideline holds by itself.',
        text_columns=2,
    )


def _paper_ratio(guideline: Guideline, gpu: bool) -> float:
    rows = guideline.gpu if gpu else guideline.arm
    product, count = 1.0, 0
    for row in rows[1:]:
        for first, other in zip(rows[0].speed, row.speed, strict=True):
            product *= first / other
            count += 1
    return product ** (1 / count)


def _table(guideline: Guideline, rows: list[dict], gpu: bool) -> Table:
    unit, ours = ('batches/s', 'batches_per_s') if gpu else ('images/s', 'images_per_s')
    columns = [guideline.name, 'channels (x1)']
    for name in SCALES:
        columns += [f'{name} {unit}', f"{name} paper's", f'{name} M MACs']
    lines = []
    for label in dict.fromkeys(row['name'] for row in rows):
        cells = {row['scale']: row for row in rows if row['name'] == label}
        first = cells[next(iter(cells))]
        line = [label, ', '.join(map(str, first['channels']))]
        for name in SCALES:
            cell = cells.get(name)
            line += _cell(cell, ours) if cell else ['-', '-', '-']
        lines.append(line)
    machine = 'GTX 1080Ti' if gpu else 'one thread of a Snapdragon 810'
    return Table(
        f'{guideline.name}: {guideline.title}',
        columns,
        lines,
        f"The paper's figures: {machine}. Claim: {guideline.claim}. ~: the spread is too wide.",
        text_columns=2,
    )


def _cell(cell: dict, ours: str) -> list[str]:
    mark = '~' if cell['wide_spread'] else ''
    return [
        mark + number(cell[ours]),
        number(cell['paper_speed']),
        f'{cell["macs"] / 1e6:.0f}',
    ]


def _picture(guideline: Guideline, rows: list[dict], gpu: bool) -> Picture:
    unit, key = ('batches/s', 'batches_per_s') if gpu else ('images/s', 'images_per_s')
    labels = list(dict.fromkeys(row['name'] for row in rows))
    cells = {(row['name'], row['scale']): row for row in rows}

    def relative(label: str, scale: str, field: str) -> float | None:
        cell, base = cells.get((label, scale)), cells.get((labels[0], scale))
        return cell[field] / base[field] if cell and base else None

    def ends(label: str, scale: str) -> tuple[float, float] | None:
        cell, base = cells.get((label, scale)), cells.get((labels[0], scale))
        if not cell or not base:
            return None
        return base['ms_median'] / cell['ms_p90'], base['ms_median'] / cell['ms_p10']

    highest = max(
        relative(label, scale, field) or 0
        for label in labels
        for scale in SCALES
        for field in (key, 'paper_speed')
    )

    def draw(figure: Figure) -> None:
        left, right = figure.subplots(1, 2, sharey=True)
        ours = [(label, [relative(label, s, key) for s in SCALES]) for label in labels]
        theirs = [(label, [relative(label, s, 'paper_speed') for s in SCALES]) for label in labels]
        errors = [[ends(label, scale) for scale in SCALES] for label in labels]
        grouped_bars(left, SCALES, ours, errors)
        grouped_bars(right, SCALES, theirs)
        left.set_title('here')
        right.set_title('GTX 1080Ti (paper)' if gpu else 'Snapdragon 810 (paper)')
        left.set_ylabel(f'speed relative to "{labels[0]}"')
        for axes in (left, right):
            axes.axhline(1, color='#343a40', linewidth=1, linestyle='--')
            axes.set_xlabel('width')
            axes.set_ylim(0, 1.3 * highest)
        handles, names = left.get_legend_handles_labels()
        figure.legend(handles, names, loc='outside lower center', ncols=min(5, len(names)))
        figure.suptitle(f'{guideline.name}: {guideline.title}', x=0.01, ha='left', fontsize=13)

    caption = (
        f'{guideline.name}, {unit} relative to "{labels[0]}" at equal FLOPs. '
        'Lines: p10 to p90 of the calls.'
    )
    return Picture(guideline.name.lower(), caption, draw, (9.0, 4.6))
