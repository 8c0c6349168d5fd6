"""Table 8 of the ShuffleNet V2 paper, measured here (arXiv 1807.11164).

Every network of the table: MACs, and two speeds: batches of eight on the device (the paper's
GPU column) and single images on one CPU thread (its ARM column). Networks of the user's own
stand in the same table.
"""

from argparse import Namespace
from functools import partial

from lighthead.report.page import Chart, Lines, Page, Table, number
from lighthead.speed.experiments.cells import (
    Cell,
    add_memory,
    both_phases,
    measure_cells,
)
from lighthead.speed.experiments.grid import PANELS, correlation_with_paper, phase_title
from lighthead.speed.harness.bench import Bench
from lighthead.speed.harness.conditions import Conditions
from lighthead.speed.harness.record import Record
from lighthead.speed.harness.statistics import rank_correlation
from lighthead.speed.networks import (
    FAMILIES,
    NETWORKS,
    Network,
    build_network,
    find_network,
    stand_ins,
)
from lighthead.speed.paper.table8 import BATCH
from lighthead.speed.report import speed, unique

QUICK_SECONDS = 120
PAPER_TITLES = {
    'batched': 'paper: GTX 1080Ti, batch 8: batches/s',
    'single': 'paper: Snapdragon 810, 1 thread: images/s',
}
CORRELATIONS = ('with_paper', 'macs_with_speed', 'paper_macs_with_speed')
NOTE = (
    'Speeds of the paper: batches of eight on a GTX 1080Ti; images on one thread of a Snapdragon '
    "810; the errors are the paper's. Matched: the width that meets the paper's MACs where the "
    'nominal one does not or the paper gives none. Of limit: the roofline time of all operations '
    'over the measured time. ~: the spread is too wide.'
)


def choose(conditions: Conditions, args: Namespace) -> list[Network]:
    """The networks to time: those named, or all; in a quick run one per row."""
    if args.only is not None:
        chosen = [find_network(key) for key in args.only]
    else:
        chosen = list(stand_ins() if conditions.quick else NETWORKS.values())
    return chosen + [find_network(name) for name in args.network]


def cell_of(network: Network, conditions: Conditions) -> Cell:
    """The network as something to be timed, with the paper's figures."""
    paper = network.paper
    facts = {
        'key': network.key,
        'name': network.model,
        'family': network.family,
        'kind': network.kind,
        'source': network.source,
        'paper_mflops': paper.mflops,
        'paper_error': paper.error,
    }
    size = conditions.shape or (paper.size, paper.size)
    build = partial(build_network, network.key)
    return Cell(network.key, build, 3, size, facts, {'gpu': paper.gpu, 'arm': paper.arm})


def measure(bench: Bench, args: Namespace) -> Record:
    """Measure the networks in both phases."""
    record = bench.record('table8', 'Classification networks: complexity and speed (Table 8)')
    networks = choose(bench.conditions, args)
    cells = [cell_of(network, bench.conditions) for network in networks]
    phases = both_phases(bench.conditions, BATCH)
    measure_cells(bench, record, cells, phases, QUICK_SECONDS)
    add_memory(bench, record, cells, phases[0])
    record.findings['rank_correlation'] = correlations(record.measurements)
    return record


def correlations(measurements: list[dict]) -> dict[str, dict]:
    """Spearman's rank correlations per phase, over one network for each row of the table.

    ``with_paper``: the speed here and the paper's; ``macs_with_speed``: complexity and the
    speed here (-1: fewer MACs are always faster); ``paper_macs_with_speed``: the same in the
    paper.
    """
    chosen = {network.key for network in stand_ins()}
    values = {}
    for phase, field, _ in PANELS:
        rows = [row for row in measurements if row['phase'] == phase and row['key'] in chosen]
        both = [row for row in rows if row['paper_speed'] is not None]
        papers = [row['paper_speed'] for row in both]
        speeds = [row[field] for row in rows]
        if rows:
            values[phase] = {
                'networks': len(both),
                'with_paper': correlation_with_paper(both, field),
                'macs_with_speed': rank_correlation([row['macs'] for row in rows], speeds),
                'paper_macs_with_speed': rank_correlation(
                    [row['paper_mflops'] for row in both], papers
                ),
            }
    return values


def layout(record: Record) -> Page:
    """The charts of speed against complexity and error, the table, the correlations."""
    page = Page(record.title)
    if record.measurements:
        page.charts = _charts(record.measurements)
        page.tables.append(_table(record))
    correlated = record.findings['rank_correlation']
    if correlated:
        page.tables.append(_correlation_table(correlated))
    if record.settings['shape']:
        page.notes.append("The size was set by hand: the paper's figures are for its own sizes.")
    return page


def _correlation_table(correlated: dict[str, dict]) -> Table:
    lines = []
    for phase, _, unit in PANELS:
        if phase in correlated:
            values = correlated[phase]
            shown = ['-' if v is None else f'{v:.2f}' for v in map(values.get, CORRELATIONS)]
            lines.append([unit, str(values['networks']), *shown])
    columns = ('speed', 'networks', 'here with the paper', 'MACs with speed here', 'MACs, paper')
    note = (
        'One network per row of the table, the matched one where there is one. 1: the same '
        'order; -1: the fewer MACs, the faster.'
    )
    return Table('Rank correlations (Spearman)', columns, lines, note)


def _table(record: Record) -> Table:
    rows = record.measurements
    batch = next((f' of {row["batch"]}' for row in rows if row['phase'] == 'batched'), '')
    columns = ['network', 'M MACs', "paper's MACs", f'batches/s{batch}', "paper's GPU", 'of limit']
    columns += ['images/s 1 thread', "paper's ARM", 'of limit ', 'top-1 error', 'M params']
    columns += ['FLOPs/byte', 'MiB']
    lines = []
    for key in unique(rows, 'key'):
        by_phase = {row['phase']: row for row in rows if row['key'] == key}
        first = next(iter(by_phase.values()))
        line = [network_name(first), number(first['macs'] / 1e6), number(first['paper_mflops'], 0)]
        for phase, field, _ in PANELS:
            row = by_phase.get(phase)
            line.append(speed(row, field))
            line.append(number(row['paper_speed']) if row else '-')
            line.append(f'{row["roofline_share"]:.0%}' if row else '-')
        line += [number(first['paper_error']), number(first['parameters'] / 1e6)]
        line += [number(first['intensity']), number(first.get('peak_memory_mb'), 0)]
        lines.append(line)
    return Table(record.title, columns, lines, NOTE, page_only=tuple(columns[-4:]))


def network_name(row: dict) -> str:
    """The network, its input where that is not 224x224, and whether it is a matched one."""
    size = f'{row["height"]}x{row["width"]}'
    at = '' if size == '224x224' else f' @{size}'
    return row['name'] + at + (' (matched)' if row['kind'] == 'matched' else '')


def _charts(measurements: list[dict]) -> list[Chart]:
    keys = {network.key for network in stand_ins()}
    rows = [r for r in measurements if r['key'] in keys or r['kind'] == 'own'] or measurements
    return [
        Chart(
            'macs_speed',
            "Complexity against speed, above measured here, below the paper's: networks of equal "
            'MACs differ in speed. Higher is faster; lines join the widths of a family.',
            _panels(rows, 'macs', 1e6),
            'million MACs',
            log='xy',
            size=(11, 9.6),
        ),
        Chart(
            'error_speed',
            "The paper's top-1 error against the speed, above measured here, below the paper's: "
            'up and to the left is better.',
            _panels(rows, 'paper_error', 1),
            "top-1 error in % (paper's)",
            log='y',
            size=(11, 9.6),
        ),
    ]


def _panels(rows: list[dict], axis: str, scale: float) -> list[list[Lines]]:
    """Speeds of each phase against ``axis``: above those here, below the paper's."""
    here, paper = [], []
    for phase, field, unit in PANELS:
        of_phase = [row for row in rows if row['phase'] == phase]
        if of_phase:
            title = f'{phase_title(of_phase)}: {unit}'
            here.append(_family_lines(title, of_phase, axis, scale, field))
            title = PAPER_TITLES[phase]
            paper.append(_family_lines(title, of_phase, axis, scale, 'paper_speed'))
    return [here, paper]


def _family_lines(title: str, rows: list[dict], axis: str, scale: float, field: str) -> Lines:
    """A line for each family, a point for each of the user's own networks."""
    series: dict[str, list] = {}
    for family in (*FAMILIES, *(row['name'] for row in rows if row['kind'] == 'own')):
        own = [row for row in rows if family in (row['family'], row['name'])]
        points = [(row[axis] / scale, row[field]) for row in own if row[axis] and row[field]]
        if points:
            series[family] = points
    return Lines(title, series, 'ShuffleNet v2')
