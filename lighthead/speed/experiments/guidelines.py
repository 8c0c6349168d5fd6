"""Guidelines G1 to G4 of the ShuffleNet V2 paper (arXiv 1807.11164, Tables 1-4): does each hold?

Ten stacked blocks at 56x56. On a GPU the paper's GPU channels are measured in batches of
eight (its batch is not in our copy), on a CPU its ARM channels, one image on one thread.
"""

from argparse import Namespace
from functools import partial

import numpy as np

from lighthead.report.page import Bars, Chart, Page, Table
from lighthead.speed.experiments.cells import Cell, Phase, measure_cells
from lighthead.speed.experiments.grid import PAPER_MACHINES, grid_table, relative_bars
from lighthead.speed.harness.bench import Bench
from lighthead.speed.harness.conditions import QUICK_SECONDS
from lighthead.speed.harness.record import Record
from lighthead.speed.harness.statistics import verdict
from lighthead.speed.networks.guideline_blocks import stacked_blocks
from lighthead.speed.paper.tables1to4 import (
    BLOCKS_STACKED,
    GUIDELINES,
    INPUT_SIZE,
    SCALES,
    Guideline,
)
from lighthead.speed.report import unique

COVERS = f'forward pass of {BLOCKS_STACKED} stacked blocks, input on the device'


def cells_of(guideline: Guideline, platform: str) -> list[Cell]:
    """The cells of a guideline's table for ``gpu`` or ``arm``."""
    cells = []
    for row in guideline.rows(platform):
        for scale, channels, speed in zip(SCALES, row.channels, row.speed, strict=True):
            facts = {'name': row.label, 'guideline': guideline.name, 'scale': scale}
            build = partial(stacked_blocks, guideline.name, row.setting, channels)
            cells.append(
                Cell(
                    f'{guideline.name} {row.label} {scale}',
                    build,
                    channels[0],
                    (INPUT_SIZE, INPUT_SIZE),
                    facts | {'channels': list(channels)},
                    {platform: speed},
                )
            )
    return cells


def measure(bench: Bench, args: Namespace) -> Record:
    """Measure all four tables and judge each guideline."""
    conditions = bench.conditions
    record = bench.record('guidelines', 'Do the four guidelines hold here?')
    column, batch = ('gpu', 8) if conditions.on_gpu else ('arm', 1)
    phase = Phase('', column, conditions, conditions.threads or 1, conditions.batch or batch)
    for guideline in GUIDELINES:
        cells = cells_of(guideline, column)
        measure_cells(bench, record, cells, [phase], QUICK_SECONDS / len(GUIDELINES), COVERS)
        rows = [row for row in record.measurements if row['guideline'] == guideline.name]
        judged = judge(rows, conditions.seed)
        if judged:
            record.findings[guideline.name] = judged | {'claim': guideline.claim}
    return record


def judge(rows: list[dict], seed: int = 0) -> dict:
    """The verdict over all rows and widths of a guideline's table, and for each cell.

    A cell's ratio is the speed of the first row (which the guideline recommends) over the
    row's; the rounds give it one value each. The verdict over all takes in each round the
    geometric mean of the cells' ratios. Speeds are MACs per second here, since the FLOPs of
    a column differ by up to 5.5 %.
    """
    first = {row['scale']: row for row in rows if row['name'] == rows[0]['name']}
    ratios = {}
    for row in rows:
        base = first.get(row['scale'], row)
        if base is not row:
            rounds = min(len(base['round_ms']), len(row['round_ms']))
            seconds = np.divide(row['round_ms'][:rounds], base['round_ms'][:rounds])
            ratios[f'{row["name"]} {row["scale"]}'] = seconds * base['macs'] / row['macs']
    if not ratios:
        return {}
    rounds = min(map(len, ratios.values()))
    overall = np.exp(np.mean([np.log(values[:rounds]) for values in ratios.values()], axis=0))
    cells = {key: verdict(values, seed) for key, values in ratios.items()}
    return verdict(overall, seed) | {'cells': cells}


def layout(record: Record) -> Page:
    """A chart and a table for each guideline, the verdicts first."""
    platform = 'gpu' if record.settings['device'] == 'cuda' else 'arm'
    page = Page(
        record.title,
        notes=[
            'A guideline holds here where the bootstrap 95 % interval of the speed ratio, the '
            'recommended block over the others at equal FLOPs, lies above 1.'
        ],
    )
    if record.findings:
        page.tables.append(_verdicts(record.findings, platform))
    field = 'batches_per_s' if platform == 'gpu' else 'images_per_s'
    for guideline in GUIDELINES:
        rows = [row for row in record.measurements if row['guideline'] == guideline.name]
        if rows:
            title = f'{guideline.name}: {guideline.title}'
            unit = field.replace('_per_', '/')
            table = grid_table(f'{title} ({unit})', rows, 'scale', field, guideline.name)
            table.note += f' Claim: {guideline.claim}.'
            page.tables.append(table)
            page.charts.append(_chart(guideline.name.lower(), f'{title}. {unit}', rows, field))
    return page


def _chart(name: str, caption: str, rows: list[dict], field: str) -> Chart:
    """Speeds relative to the first row's, here and in the paper."""
    first = unique(rows, 'name')[0]
    panels: list[Bars] = [
        relative_bars('here', rows, 'scale', field),
        relative_bars(f'{PAPER_MACHINES[field]} (paper)', rows, 'scale', 'paper_speed'),
    ]
    return Chart(
        name,
        f'{caption} relative to "{first}" at equal FLOPs, by width. '
        'Lines: p10 to p90 of the calls.',
        [panels],
        ylabel=f'speed relative to "{first}"',
        reference=1,
        size=(9.0, 4.4),
    )


def _verdicts(findings: dict, platform: str) -> Table:
    rows = []
    for guideline in GUIDELINES:
        judged = findings.get(guideline.name)
        if judged:
            verdicts = [cell['verdict'] for cell in judged['cells'].values()]
            rows.append(
                (
                    f'{guideline.name} {guideline.title}',
                    judged['verdict'],
                    f'{judged["ratio"]:.2f}',
                    f'{judged["low"]:.2f} to {judged["high"]:.2f}',
                    f'{paper_ratio(guideline, platform):.2f}',
                    f'{verdicts.count("holds here")} of {len(verdicts)}',
                )
            )
    return Table(
        'Verdicts',
        ('guideline', 'verdict', 'speed ratio', '95 % interval', "paper's ratio", 'single cells'),
        rows,
        'Speed ratio: the recommended block over the other rows, geometric mean over rows and '
        'widths, in MACs per second. Single cells: in how many the guideline holds by itself.',
        text_columns=2,
        marks={'holds here': 'good', 'does not hold here': 'bad'},
    )


def paper_ratio(guideline: Guideline, platform: str) -> float:
    """The paper's speed of the first row over the others', geometric mean."""
    first, *others = (row.speed for row in guideline.rows(platform))
    return float(np.exp(np.mean(np.log(np.divide(first, others)))))
