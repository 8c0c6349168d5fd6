"""The appendix's single building blocks at equal FLOPs (arXiv 1807.11164).

The columns are ShuffleNet v2 blocks of c = 64, 128, 256 channels; the other
blocks' channels are chosen so that their MACs come closest to the same. The
paper does not say how many blocks it timed; ten are stacked here, as in its
Tables 1-4, in batches of eight (one in a quick run on a CPU). All blocks keep
size and width (stride 1). ShuffleNet v1 has three groups and a bottleneck of a
quarter, Xception the same without groups (see
:mod:`lighthead.models.backbones.light_xception`), MobileNet v2 the expansion 6.
"""

from collections.abc import Callable
from functools import cache, partial

import torch.nn as nn
from torchvision.models.mobilenetv2 import InvertedResidual

from lighthead.speed.bench import Bench
from lighthead.speed.complexity import count_on_meta
from lighthead.speed.paper.appendix import BLOCK_WIDTHS, BLOCKS
from lighthead.speed.paper.table8 import BATCH
from lighthead.speed.phases import Subject, both_phases, count_all, run_phase
from lighthead.speed.record import Result
from lighthead.speed.statistics import rank_correlation

STACKED = 10
FLOPS_TOLERANCE = 0.07
"""How far the MACs of a column's blocks may differ: channels come in whole steps."""


def shufflenet_v2_block(channels: int) -> nn.Module:
    """The basic unit of ShuffleNet v2."""
    from lighthead.models.backbones.shufflenet_v2 import ShuffleUnit

    return ShuffleUnit(
        channels, channels, basic=True, norm_cfg=dict(type='BN'), act_cfg=dict(type='ReLU')
    )


def bottleneck_block(channels: int, groups: int) -> nn.Module:
    """The unit of ShuffleNet v1, or without groups that of the light Xception."""
    from lighthead.models.backbones.bottleneck_net import BottleneckUnit

    layers = dict(norm_cfg=dict(type='BN'), act_cfg=dict(type='ReLU'))
    return BottleneckUnit(channels, channels, groups=groups, **layers)


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
    make = MAKERS[name][0]
    return nn.Sequential(*(make(channels) for _ in range(STACKED)))


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
    return min(
        (lower, lower + step), key=lambda channels: abs(macs_per_pixel(name, channels) - target)
    )


def subjects_of_table() -> list[Subject]:
    """The cells of the table; asserts that the MACs of a column are equal."""
    subjects = []
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
                subjects.append(Subject(key, build, channels, (size, size), facts, paper))
    return subjects


def run(bench: Bench) -> Result:
    """Measure every cell in both phases."""
    result = bench.result('blocks', 'Building blocks at equal FLOPs (appendix)')
    subjects = subjects_of_table()
    settings = bench.settings
    batch = 1 if settings.quick and not settings.on_gpu else BATCH
    with bench.stoppable():
        complexities = count_all(bench, subjects)
        for phase in both_phases(settings, batch):
            if bench.interrupted:
                break
            result.measurements += run_phase(bench, phase, subjects, complexities, 0.5)
    for phase, field in (('batched', 'batches_per_s'), ('single', 'images_per_s')):
        rows = [row for row in result.measurements if row['phase'] == phase]
        value = rank_correlation([row[field] for row in rows], [row['paper_speed'] for row in rows])
        result.findings.setdefault('rank_correlation', {})[phase] = value
    return result
