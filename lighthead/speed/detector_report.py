"""The tables and pictures of ``tools/speed.py detector``."""

from matplotlib.figure import Figure

from lighthead.speed.figures import COLOURS
from lighthead.speed.formatting import number, speed
from lighthead.speed.record import Picture, Result, Table
from lighthead.speed.stages import PARTS


def present(result: Result) -> None:
    """Fill in tables, pictures and notes from the measurements."""
    rows = result.measurements
    if not rows:
        return
    result.tables.append(_speeds(result))
    for batch in dict.fromkeys(row['batch'] for row in rows):
        result.tables.append(_parts([row for row in rows if row['batch'] == batch]))
    if 'macs' in result.findings:
        result.tables.append(_macs(result.findings['macs']))
    result.pictures += [_speed_picture(rows), _parts_picture(rows)]
    if not all(row['trained'] for row in rows):
        result.notes.append(
            'Detectors without --checkpoint have random weights: NMS sees other boxes than after '
            'training, so proposals + NMS and post-processing can take more or less time.'
        )


def _speeds(result: Result) -> Table:
    with_memory = any(row.get('peak_memory_mb') for row in result.measurements)
    lines = []
    for row in result.measurements:
        interval = f'{number(row["ms_p10"])} - {number(row["ms_p90"])}'
        after = row['proposals_after_nms']
        line = [row['name'], row['proposals'] or '-', str(row['batch'])]
        line += [speed(row, 'images_per_s'), number(row.get('paper_speed'))]
        line += [number(row['ms_median']), interval]
        line += ['-' if after is None else f'{after:.0f}', f'{row["detections"]:.0f}']
        if with_memory:
            line.append(number(row.get('peak_memory_mb'), 0))
        lines.append(line)
    columns = ('detector', 'proposals', 'batch', 'images/s', "paper's", 'ms per batch')
    columns += ('p10 - p90', 'left by NMS', 'detections') + (('MiB',) if with_memory else ())
    row = result.measurements[0]
    note = (
        f'Input {row["height"]}x{row["width"]}. Proposals: before NMS / after NMS / final score '
        'threshold; left by NMS and detections: per image, as they were. The paper: one GTX '
        '1080Ti, batch 4, its proposals are not known. ~: the spread is too wide.'
    )
    return Table('Speed', columns, lines, note, text_columns=2)


def _parts(rows: list[dict]) -> Table:
    present_parts = [part for part in PARTS if any(part in row['parts'] for row in rows)]
    lines = []
    for row in rows:
        values = [row['parts'].get(part) for part in present_parts]
        name = row['name'] + (f' {row["proposals"]}' if row['proposals'] else '')
        lines.append([name, *(number(value) for value in values), number(row['ms_parts'])])
    return Table(
        f'Milliseconds of each part, batch of {rows[0]["batch"]}',
        ['detector', *present_parts, 'sum'],
        lines,
        'Mean of a few calls of their own, with a clock at each part; the parts add up.',
    )


def _macs(macs: dict[str, dict[str, int]]) -> Table:
    parts = list(dict.fromkeys(part for shares in macs.values() for part in shares))
    lines = [
        [
            name,
            *(number(shares[part] / 1e6, 0) if part in shares else '-' for part in parts),
            number(sum(shares.values()) / 1e6, 0),
        ]
        for name, shares in macs.items()
    ]
    note = 'Per image, unpadded, the R-CNN head for 1000 proposals.'
    return Table('Million multiply-adds of each part', ['detector', *parts, 'sum'], lines, note)


def _label(row: dict) -> str:
    return row['name'] + (f'\n{row["proposals"]}' if row['proposals'] else '')


def _speed_picture(rows: list[dict]) -> Picture:
    batches = list(dict.fromkeys(row['batch'] for row in rows))

    def draw(figure: Figure) -> None:
        panels = figure.subplots(1, len(batches), squeeze=False, sharey=True)[0]
        for axes, batch in zip(panels, batches, strict=True):
            shown = [row for row in rows if row['batch'] == batch]
            values = [row['images_per_s'] for row in shown]
            low = [row['images_per_s'] - row['batch'] / row['ms_p90'] * 1e3 for row in shown]
            high = [row['batch'] / row['ms_p10'] * 1e3 - row['images_per_s'] for row in shown]
            names = [_label(row) for row in shown]
            ends = [[max(0, value) for value in side] for side in (low, high)]
            axes.barh(names, values, xerr=ends, color=COLOURS[0], error_kw={'capsize': 2})
            axes.set_title(f'batch {batch}')
            axes.set_xlabel('images/s')
            axes.grid(axis='y', visible=False)
        panels[0].invert_yaxis()

    caption = 'Images per second; lines: p10 to p90 of the calls. Below the name: proposals.'
    count = max(sum(row['batch'] == batch for row in rows) for batch in batches)
    return Picture('images_per_s', caption, draw, (10, 1.6 + 0.55 * count))


def _parts_picture(rows: list[dict]) -> Picture:
    shown = [row for row in rows if row['batch'] == rows[0]['batch']]
    parts = [part for part in PARTS if any(part in row['parts'] for row in shown)]

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        left = [0.0] * len(shown)
        names = [_label(row) for row in shown]
        for index, part in enumerate(parts):
            values = [row['parts'].get(part, 0.0) / row['batch'] for row in shown]
            colour = '#adb5bd' if part == 'others' else COLOURS[index % len(COLOURS)]
            axes.barh(names, values, left=left, color=colour, label=part, height=0.62)
            left = [start + value for start, value in zip(left, values, strict=True)]
        axes.invert_yaxis()
        axes.set_xlabel('milliseconds per image')
        axes.grid(axis='y', visible=False)
        handles, labels = axes.get_legend_handles_labels()
        figure.legend(handles, labels, loc='outside lower center', ncols=5)

    caption = f'Where the time of an image goes, in batches of {shown[0]["batch"]}.'
    return Picture('parts', caption, draw, (10, 2.1 + 0.55 * len(shown)))
