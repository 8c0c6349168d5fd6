"""The page of ``lighthead speed gpu``: every cell that was not measured says so."""

from lighthead.gpu_report.detectors import LEAST_SCORE, RIVAL, SAME_BOX, WIDTHS
from lighthead.report.page import Bars, Chart, Page, Table, number
from lighthead.speed.harness.record import Record
from lighthead.speed.report import speed

BATCHES = (1, 4, 16)
PRECISIONS = ('fp32', 'tf32', 'fp16', 'bf16')
CONFIGS = ('lighthead_shufflev2star', 'finetune/lighthead_shufflev2star_x0_5')
"""The main config, whose steps are timed, and another whose steps are taken too."""
ABSENT = 'not measured'


def layout(record: Record) -> Page:
    """Charts where something was measured on a GPU, then the sections' tables."""
    rows = {row['id']: row for row in record.measurements}
    sections = record.findings['sections']
    size = 'x'.join(map(str, record.findings['sides']))
    page = Page(record.title)
    if any(row['device'] == 'cuda' for row in record.measurements):
        page.charts = [_chart(rows, batch, size) for batch in BATCHES]
    page.tables = [
        _environment(sections),
        _agreement(sections),
        _speeds(rows, size),
        _operators(record.measurements),
        _shares(sections, 'images/s', 'a batch of four images, 1.0x'),
        _training(rows, sections),
        _shares(sections, 'training step', 'a training step'),
        _steps(sections),
        _export(sections),
        _sections(sections),
    ]
    if record.settings['device'] != 'cuda':
        page.notes.append('No GPU was at hand: cells of CUDA are not measured.')
    page.notes.append(
        'Detectors have random weights: how many boxes reach the suppressions is not that of '
        'trained ones.'
    )
    for name, text in record.findings['failed'].items():
        page.notes.append(f'Failed: {name} ({text}).')
    return page


def _cell(row: dict | None, field: str = 'images_per_s') -> str:
    return ABSENT if row is None else speed(row, field)


def _speeds(rows: dict[str, dict], size: str) -> Table:
    lines = []
    for name in (*WIDTHS, RIVAL):
        for batch in BATCHES:
            key = f'{name} batch {batch}'
            label = f'ShuffleNetV2* {name}' if name in WIDTHS else f"torchvision's {name}"
            line = [label, str(batch), _cell(rows.get(f'{key} cpu fp32'))]
            line += [_cell(rows.get(f'{key} cuda {precision}')) for precision in PRECISIONS]
            paper = WIDTHS[name][1] if name in WIDTHS and batch == 4 else None
            lines.append([*line, number(paper, 0)])
    columns = ['detector', 'batch', 'CPU fp32', *(f'CUDA {p}' for p in PRECISIONS), "paper's"]
    note = (
        f'{size}, from a normalised batch on the device to boxes on the host; fp32 is exact (TF32 '
        'off), fp16 and bf16 hold for convolutions and fully connected layers. The paper: GTX '
        '1080Ti, 800x1200, batch 4. ~: the spread is too wide.'
    )
    return Table('Images per second', columns, lines, note)


def _chart(rows: dict[str, dict], batch: int, size: str) -> Chart:
    names = (*WIDTHS, RIVAL)
    series: dict[str, list[float | None]] = {}
    for precision in PRECISIONS:
        found = [rows.get(f'{name} batch {batch} cuda {precision}') for name in names]
        series[precision] = [None if row is None else row['images_per_s'] for row in found]
    if batch == 4:
        series["paper's"] = [WIDTHS[name][1] if name in WIDTHS else None for name in names]
    groups = [*(f'{name}' for name in WIDTHS), "torchvision's"]
    caption = f'Images per second on CUDA in batches of {batch}, {size}.'
    return Chart(f'batch{batch}', caption, [[Bars('', groups, series)]], ylabel='images/s')


def _environment(sections: dict) -> Table:
    lines = [[key, str(value)] for key, value in _values(sections, 'environment').items()]
    return Table('Environment', ['what', 'value'], lines, text_columns=2)


def _values(sections: dict, name: str) -> dict:
    """A section's values without its seconds; none where it did not end."""
    values = sections.get(name, {})
    return {key: values[key] for key in values if key not in ('seconds', ABSENT, 'failed')}


def _agreement(sections: dict) -> Table:
    rows = {
        (row['kind'], row['device'], row['precision']): row
        for row in _values(sections, 'agreement').get('rows', [])
    }
    wanted = [('fixed sizes', 'cpu', 'fp32')]
    wanted += [(k, 'cuda', p) for p in PRECISIONS for k in ('eager', 'fixed sizes', 'graph')]
    lines = []
    for key in wanted:
        row = rows.get(key)
        line = [f'{key[0]}, {key[1]} {key[2]}']
        if row is None:
            line += [ABSENT] * 3
        else:
            line[0] += f' (no graph of {row["refused"]} sizes)' if row['refused'] else ''
            line += [str(row['images']), f'{row["matched"]} of {row["total"]}']
            line.append(f'{row["score_difference"]:.1e}')
        lines.append(line)
    columns = ['against eager on the CPU in fp32', 'images', 'same detections', 'scores within']
    note = (
        f'Same: one class and an IoU of at least {SAME_BOX}, of the detections with a score of at '
        f'least {LEAST_SCORE}. Graph: what a CUDA graph replays; fixed sizes: the same, not '
        'recorded.'
    )
    return Table('Do all ways to run give the same detections?', columns, lines, note)


def _operators(measurements: list[dict]) -> Table:
    lines: dict[str, dict[tuple[str, str], dict]] = {}
    for row in measurements:
        case, _, competitor = row['name'].rpartition(': ')
        if case:
            lines.setdefault(case, {})[row['device'], competitor] = row
    columns = ['operator', 'device']
    columns += ["torchvision's ms", 'lighthead ms', 'lighthead, maximum or fixed, ms']
    columns += ['times as fast']
    cells = []
    for case, rows in lines.items():
        device = next(iter(rows))[0]
        pooling = (device, 'lighthead max') in rows
        suffix = ' avg' if pooling else ''
        rival, own = (rows.get((device, f'{who}{suffix}')) for who in ('torchvision', 'lighthead'))
        ratio = rival['ms_median'] / own['ms_median'] if rival and own else None
        other = rows.get((device, 'lighthead max' if pooling else 'lighthead fixed'))
        other_cell = _cell(other, 'ms_median') if other else '-'
        cells.append(
            [case, device, _cell(rival, 'ms_median'), _cell(own, 'ms_median'), other_cell]
            + [number(ratio)]
        )
    if not any(line[1] == 'cuda' for line in cells):
        cells.append(['PS-RoI align and suppression', 'cuda', *[ABSENT] * 4])
    return Table('Operators, float32', columns, cells, text_columns=2)


def _training(rows: dict[str, dict], sections: dict) -> Table:
    values = _values(sections, 'training step')
    memory, lines = values.get('memory_mb', {}), []
    for device, precision in (('cpu', 'fp32'), *(('cuda', p) for p in ('fp32', 'tf32', 'amp'))):
        row = rows.get(f'training step {device} {precision}')
        images = str(row['batch']) if row else ABSENT
        line = [f'{device} {precision}', images, _cell(row, 'ms_median'), _cell(row)]
        loading = f'{values["loading_ms"] / row["ms_median"]:.0%}' if row else ABSENT
        peak = memory.get(precision) if device == 'cuda' else None
        lines.append([*line, number(peak, 0) if peak else ABSENT, loading])
    columns = ['step', 'images', 'ms', 'images/s', 'MiB', 'loading, of a step']
    note = f'{CONFIGS[0]}, its data loaded beforehand; loading: of a batch, without workers.'
    return Table('A training step of the main config', columns, lines, note)


def _shares(sections: dict, section: str, what: str) -> Table:
    operators = _values(sections, section).get('operators', {})
    lines = [
        [precision, name, f'{share:.1%}']
        for precision, shares in operators.items()
        for name, share in shares.items()
    ]
    if not lines:
        lines = [[ABSENT, '-', '-']]
    columns = ['precision', 'operator', 'share of the time']
    return Table(f"Operators' shares of {what}", columns, lines, text_columns=2)


def _steps(sections: dict) -> Table:
    rows = {
        (row['config'], row['device']): row
        for row in _values(sections, 'steps with mixed precision').get('rows', [])
    }
    wanted = [key for key in rows if key[1] == 'cpu'] + [(name, 'cuda') for name in CONFIGS]
    lines = []
    for key in wanted:
        row = rows.get(key)
        line = [f'{key[0].rpartition("/")[2]}, {key[1]}']
        if row:
            line += [str(row['steps']), str(row['images']), f'{row["rate"]:g}']
            line.append(f'{row["loss_first"]:.2f}')
            line += [f'{row["loss_last"]:.2f}', number(row['seconds_per_step'] * 1e3)]
            line.append(f'{row["loading_share"]:.0%}')
        else:
            line += [ABSENT] * 7
        lines.append(line)
    columns = [
        'config',
        'steps',
        'images',
        'rate',
        'first loss',
        'last loss',
        'ms per step',
        'loading',
    ]
    note = 'From random weights, without warm-up; losses are means over up to ten steps.'
    return Table('Steps with mixed precision', columns, lines, note)


def _export(sections: dict) -> Table:
    values = _values(sections, 'export')
    reason = sections.get('export', {}).get(ABSENT, '')
    if values:
        cells = [f'{values["matched"]} of {values["total"]}', f'{values["score_difference"]:.1e}']
    else:
        cells = [ABSENT, ABSENT]
    columns = ['exported file', 'same detections as on the CPU', 'scores within']
    return Table('Export', columns, [['ONNX on CUDAExecutionProvider', *cells]], reason)


def _sections(sections: dict) -> Table:
    lines = []
    for name, values in sections.items():
        state = values.get('failed') and f'failed: {values["failed"]}'
        state = state or (f'{ABSENT}: {values[ABSENT]}' if ABSENT in values else 'done')
        lines.append([name, values.get('summary', state), f'{values["seconds"]:.1f}'])
    return Table('Sections of this run', ['section', 'state', 'seconds'], lines, text_columns=2)
