"""The appendix's speeds at other sizes (arXiv 1807.11164): four networks, four complexities.

At 320x320, 640x480 and 1080x720 (width x height), batches on the device and single images on
one CPU thread. The paper's batch is not known; Table 8's eight is taken. A quick run on a CPU
takes single images and leaves the largest size out.
"""

from argparse import Namespace
from functools import partial

from lighthead.report.page import Page
from lighthead.speed.experiments.cells import (
    Cell,
    add_memory,
    both_phases,
    measure_cells,
)
from lighthead.speed.experiments.grid import PANELS, correlation_with_paper, grid_page
from lighthead.speed.harness.bench import Bench
from lighthead.speed.harness.record import Record
from lighthead.speed.networks import build_network, stand_ins
from lighthead.speed.paper.appendix import COMPLEXITIES, GPU_APART, RESOLUTIONS
from lighthead.speed.paper.table8 import BATCH

WIDTHS = {
    # the columns of the table, as models of Table 8
    'ShuffleNet v2': ('0.5x', '1x', '1.5x', '2x'),
    'ShuffleNet v1': ('0.5x', '1x', '1.5x', '2x'),
    'MobileNet v2': ('0.15', '0.6', '1.0', '1.4'),
    'Xception': ('0.5x', '1x', '1.5x', '2x'),
}


def cells_of_table() -> list[Cell]:
    """The 48 cells of the table, the networks of Table 8 at other sizes."""
    by_model = {network.model: network for network in stand_ins()}
    cells = []
    for size, networks in RESOLUTIONS.items():
        for name, speeds in networks.items():
            for place, complexity in enumerate(COMPLEXITIES):
                network = by_model[f'{name} {WIDTHS[name][place]}']
                facts = {
                    'name': name,
                    'network': network.key,
                    'kind': network.kind,
                    'complexity': complexity,
                    'paper_apart': (size, complexity) == GPU_APART,
                }
                paper = {'gpu': speeds.gpu[place], 'arm': speeds.arm[place]}
                key = f'{network.key} {size[1]}x{size[0]}'
                build = partial(build_network, network.key)
                cells.append(Cell(key, build, 3, size, facts, paper))
    return cells


def measure(bench: Bench, args: Namespace) -> Record:
    """Measure every cell in both phases."""
    record = bench.record('resolutions', 'Backbone speed at other sizes (appendix)')
    quick_on_cpu = bench.conditions.quick and not bench.conditions.on_gpu
    cells = cells_of_table()
    if quick_on_cpu:
        cells = [cell for cell in cells if cell.size != max(RESOLUTIONS)]
        record.notes.append('The quick run leaves the largest size out.')
    phases = both_phases(bench.conditions, 1 if quick_on_cpu else BATCH)
    measure_cells(bench, record, cells, phases)
    add_memory(bench, record, cells, phases[0])
    record.findings['rank_correlation'] = correlations(record.measurements)
    return record


def correlations(measurements: list[dict]) -> dict[str, dict]:
    """Spearman's rank correlation with the paper, per phase and size."""
    values: dict[str, dict] = {}
    for phase, field, _ in PANELS:
        for height, width in RESOLUTIONS:
            rows = [
                row
                for row in measurements
                if (row['phase'], row['height'], row['width']) == (phase, height, width)
                and not (phase == 'batched' and row['paper_apart'])
            ]
            value = correlation_with_paper(rows, field)
            values.setdefault(phase, {})[f'{width}x{height}'] = value
    return values


def layout(record: Record) -> Page:
    """Networks by complexity, a table for each size."""
    return grid_page(record, 'complexity', record.findings['rank_correlation'])
