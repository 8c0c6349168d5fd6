"""The page of detectors: speed, and the time and the multiply-adds of each part."""

from lighthead.report.page import Bars, Chart, Page, Table, number
from lighthead.speed.detectors.parts import PARTS
from lighthead.speed.harness.record import Record
from lighthead.speed.report import speed, unique


def layout(record: Record) -> Page:
    """Charts of speed and of the parts, then the tables."""
    rows = record.measurements
    if not rows:
        return Page(record.title)
    charts = [_speed_chart(rows), _parts_chart(rows)]
    page = Page(record.title, charts=charts, tables=[_speeds(rows)])
    for batch in unique(rows, 'batch'):
        page.tables.append(_parts([row for row in rows if row['batch'] == batch]))
    if 'macs' in record.findings:
        page.tables.append(_macs(record.findings['macs']))
    if not all(row['trained'] for row in rows):
        page.notes.append(
            'Detectors without --checkpoint have random weights: NMS sees other boxes than after '
            'training, so proposals + NMS and post-processing can take more or less time.'
        )
    return page


def _speeds(rows: list[dict]) -> Table:
    lines = []
    for row in rows:
        after = row['proposals_after_nms']
        line = [row['name'], row['proposals'] or '-', str(row['batch'])]
        line += [speed(row, 'images_per_s'), number(row.get('paper_speed'))]
        line += [number(row['ms_median'])]
        line += [f'{number(row["ms_p10"])} - {number(row["ms_p90"])}']
        line += ['-' if after is None else f'{after:.0f}', f'{row["detections"]:.0f}']
        lines.append([*line, number(row.get('peak_memory_mb'), 0)])
    columns = ['detector', 'proposals', 'batch', 'images/s', "paper's", 'ms per batch']
    columns += ('p10 - p90', 'left by NMS', 'detections', 'MiB')
    note = (
        f'Input {rows[0]["height"]}x{rows[0]["width"]}. Proposals: before NMS / after NMS / final '
        'score threshold; left by NMS and detections: per image, as they were. The paper: one GTX '
        '1080Ti, batch 4, its proposals are not known. ~: the spread is too wide.'
    )
    return Table('Speed', columns, lines, note, text_columns=2)


def _parts(rows: list[dict]) -> Table:
    parts = [part for part in PARTS if any(part in row['parts'] for row in rows)]
    lines = []
    for row in rows:
        values = [number(row['parts'].get(part)) for part in parts]
        lines.append([_label(row, ' '), *values, number(row['ms_parts'])])
    return Table(
        f'Milliseconds of each part, batch of {rows[0]["batch"]}',
        ['detector', *parts, 'sum'],
        lines,
        'Mean of a few calls of their own, with a clock at each part; others: between them.',
    )


def _macs(macs: dict[str, dict[str, int]]) -> Table:
    parts = list(dict.fromkeys(part for shares in macs.values() for part in shares))
    lines = []
    for name, shares in macs.items():
        values = [shares.get(part) for part in parts] + [sum(shares.values())]
        lines.append([name, *(number(v and v / 1e6, 0) for v in values)])
    note = 'Per image, unpadded, the R-CNN head for 1000 proposals.'
    return Table('Million multiply-adds of each part', ['detector', *parts, 'sum'], lines, note)


def _label(row: dict, separator: str = '\n') -> str:
    return row['name'] + (f'{separator}{row["proposals"]}' if row['proposals'] else '')


def _speed_chart(rows: list[dict]) -> Chart:
    panels = []
    for batch in unique(rows, 'batch'):
        shown = [row for row in rows if row['batch'] == batch]
        values = [row['images_per_s'] for row in shown]
        ends = [(batch / row['ms_p90'] * 1e3, batch / row['ms_p10'] * 1e3) for row in shown]
        names = [_label(row) for row in shown]
        panels.append(Bars(f'batch {batch}', names, {'images/s': values}, {'images/s': ends}))
    return Chart(
        'images_per_s',
        'Images per second; lines: p10 to p90 of the calls. Below the name: proposals.',
        [panels],
        xlabel='images/s',
        horizontal=True,
        size=(10, 1.6 + 0.55 * len(panels[0].groups)),
    )


def _parts_chart(rows: list[dict]) -> Chart:
    shown = [row for row in rows if row['batch'] == rows[0]['batch']]
    parts = [part for part in PARTS if any(part in row['parts'] for row in shown)]
    series = {p: [row['parts'].get(p, 0.0) / row['batch'] for row in shown] for p in parts}
    return Chart(
        'parts',
        f'Where the time of an image goes, in batches of {shown[0]["batch"]}.',
        [[Bars('', [_label(row) for row in shown], series)]],
        xlabel='milliseconds per image',
        horizontal=True,
        stacked=True,
        size=(10, 2.1 + 0.55 * len(shown)),
    )
