"""The appendix's single building blocks at equal FLOPs (arXiv 1807.11164).

The columns are ShuffleNet v2 blocks of c = 64, 128, 256 channels; the other blocks' channels
are chosen so that their MACs come closest to the same. The paper does not say how many blocks
it timed; ten are stacked here, as in its Tables 1-4, in batches of eight (one in a quick run
on a CPU). All blocks keep size and width (stride 1). ShuffleNet v1 has three groups and a
bottleneck of a quarter, Xception the same without groups (see
:mod:`lighthead.models.backbones.light_xception`), MobileNet v2 the expansion 6.
"""

from argparse import Namespace
from collections.abc import Callable
from functools import cache, partial
from typing import Any

import torch.nn as nn
from torchvision.models.mobilenetv2 import InvertedResidual

from lighthead.models.backbones.bottleneck_net import BottleneckUnit
from lighthead.models.backbones.shufflenet_v2 import ShuffleUnit
from lighthead.report.page import Page
from lighthead.speed.experiments.cells import Cell, both_phases, measure_cells
from lighthead.speed.experiments.grid import PANELS, correlation_with_paper, grid_page
from lighthead.speed.harness.bench import Bench
from lighthead.speed.harness.complexity import count_on_meta
from lighthead.speed.harness.record import Record
from lighthead.speed.paper.appendix import BLOCK_WIDTHS, BLOCKS
from lighthead.speed.paper.table8 import BATCH

STACKED = 10
FLOPS_TOLERANCE = 0.07
"""How far the MACs of a column's blocks may differ: channels come in whole steps."""
LAYERS: dict[str, Any] = dict(norm_cfg=dict(type='BN'), act_cfg=dict(type='ReLU'))


def shufflenet_v2_block(channels: int) -> nn.Module:
    """The basic unit of ShuffleNet v2."""
    return ShuffleUnit(channels, channels, basic=True, **LAYERS)


def bottleneck_block(channels: int, groups: int) -> nn.Module:
    """The unit of ShuffleNet v1, or without groups that of the light Xception."""
    return BottleneckUnit(channels, channels, groups=groups, **LAYERS)


def mobilenet_v2_block(channels: int) -> nn.Module:
    """The inverted residual of MobileNet v2."""
    return InvertedResidual(channels, channels, stride=1, expand_ratio=6)


MAKERS: dict[str, tuple[Callable[[int], nn.Module], int]] = {
    # block: how it is made, its channels are multiples of
    'ShuffleNet v2': (shufflenet_v2_block, 2),
    'ShuffleNet v1': (partial(bottleneck_block, groups=3), 12),
    'MobileNet v2': (mobilenet_v2_block, 1),
    'Xception': (partial(bottleneck_block, groups=1), 4),
}


def stack(name: str, channels: int) -> nn.Module:
    """Ten blocks in a row."""
    return nn.Sequential(*(MAKERS[name][0](channels) for _ in range(STACKED)))


@cache
def macs_per_pixel(name: str, channels: int) -> int:
    """Multiply-adds of one block for each pixel of its input."""
    return count_on_meta(partial(MAKERS[name][0], channels), (1, channels, 1, 1)).macs


@cache
def equal_channels(name: str, width: int) -> int:
    """Channels with which the block costs what a ShuffleNet v2 block of ``width`` does."""
    target = macs_per_pixel('ShuffleNet v2', width)
    step = MAKERS[name][1]
    lower = step
    while macs_per_pixel(name, lower + step) <= target:
        lower += step
    return min(lower, lower + step, key=lambda c: abs(macs_per_pixel(name, c) - target))


def cells_of_table() -> list[Cell]:
    """The cells of the table; asserts that the MACs of a column are equal."""
    cells = []
    for size, rows in BLOCKS.items():
        for name, speeds in rows.items():
            for place, width in enumerate(BLOCK_WIDTHS):
                channels = equal_channels(name, width)
                ratio = macs_per_pixel(name, channels) / macs_per_pixel('ShuffleNet v2', width)
                assert abs(ratio - 1) <= FLOPS_TOLERANCE, (name, width, channels, ratio)
                facts = {'name': name, 'column': f'c = {width}', 'channels': channels}
                paper = {'gpu': speeds.gpu[place], 'arm': speeds.arm[place]}
                key = f'{name} c={width} {size}x{size}'
                build = partial(stack, name, channels)
                cells.append(Cell(key, build, channels, (size, size), facts, paper))
    return cells


def measure(bench: Bench, args: Namespace) -> Record:
    """Measure every cell in both phases."""
    record = bench.record('blocks', 'Building blocks at equal FLOPs (appendix)')
    quick_on_cpu = bench.conditions.quick and not bench.conditions.on_gpu
    phases = both_phases(bench.conditions, 1 if quick_on_cpu else BATCH)
    measure_cells(bench, record, cells_of_table(), phases)
    correlations = {}
    for phase, field, _ in PANELS:
        rows = [row for row in record.measurements if row['phase'] == phase]
        correlations[phase] = correlation_with_paper(rows, field)
    record.findings['rank_correlation'] = correlations
    return record


def layout(record: Record) -> Page:
    """Blocks by width, a table for each size."""
    correlations = record.findings['rank_correlation']
    by_phase = {phase: {'all cells': value} for phase, value in correlations.items()}
    return grid_page(record, 'column', by_phase)
