"""Guidelines G1 to G4 of the ShuffleNet V2 paper, measured here (arXiv 1807.11164, section 2).

Each network stacks ten blocks of 1x1 (or bottleneck) convolutions at 56x56
without norm; only G4 has ReLU and shortcut. The rows of a column have equal
FLOPs, as far as the paper's rounded channels allow: this is asserted. On a GPU
the paper's GPU channels are measured in batches of eight, on a CPU its ARM
channels, one image on one thread. The batch of the paper's GPU column and the
details of the blocks (their figures are not in our copy) are our reading: in
G3 parallel fragments read the same input and their outputs are added; in G4 all
three convolutions have c channels and the 3x3 one is dense, as in ResNet (the
paper's G4 speeds would also fit a cheaper block, such as a depthwise 3x3).
"""

from functools import partial

import numpy as np
import torch.nn as nn
from torch import Tensor

from lighthead.speed.bench import Bench
from lighthead.speed.complexity import Complexity, count_on_meta
from lighthead.speed.paper.guidelines import (
    BLOCKS_STACKED,
    FLOPS_TOLERANCE,
    GUIDELINES,
    INPUT_SIZE,
    Guideline,
    Row,
)
from lighthead.speed.prepare import prepare_call
from lighthead.speed.record import Result, complexity_fields, timing_fields
from lighthead.speed.settings import QUICK_SECONDS, Settings
from lighthead.speed.statistics import verdict
from lighthead.speed.timer import Timing, Workload

COVERS = f'forward pass of {BLOCKS_STACKED} stacked blocks, input on the device'
SCALES = ('x1', 'x2', 'x4')


def conv(in_channels: int, channels: int, kernel: int = 1, groups: int = 1) -> nn.Conv2d:
    """A convolution that keeps the size, without bias."""
    return nn.Conv2d(in_channels, channels, kernel, padding=kernel // 2, groups=groups, bias=False)


class ParallelConvs(nn.Module):
    """1x1 convolutions of the same input, their outputs added."""

    def __init__(self, channels: int, count: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList(conv(channels, channels) for _ in range(count))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to the same shape."""
        first, *others = self.convs
        y = first(x)
        for other in others:
            y = y + other(x)
        return y


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1, with ReLU after each and a shortcut around them, or without."""

    def __init__(self, channels: int, relu: bool, shortcut: bool) -> None:
        super().__init__()
        self.convs = nn.ModuleList(conv(channels, channels, kernel) for kernel in (1, 3, 1))
        self.relu = nn.ReLU(inplace=True) if relu else nn.Identity()
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to the same shape; the last ReLU follows the sum."""
        y = self.relu(self.convs[0](x))
        y = self.convs[2](self.relu(self.convs[1](y)))
        return self.relu(y + x if self.shortcut else y)


def block(guideline: str, setting: tuple, channels: tuple[int, ...]) -> nn.Module:
    """One block of a row of a guideline's table."""
    if guideline == 'G1':
        return nn.Sequential(conv(channels[0], channels[1]), conv(channels[1], channels[0]))
    if guideline == 'G2':
        return conv(channels[0], channels[0], groups=setting[0])
    if guideline == 'G3':
        count, layout = setting
        if layout == 'parallel':
            return ParallelConvs(channels[0], count)
        return nn.Sequential(*(conv(channels[0], channels[0]) for _ in range(count)))
    return Bottleneck(channels[0], *setting)


def network(guideline: str, setting: tuple, channels: tuple[int, ...]) -> nn.Module:
    """The stacked blocks; the input has the first of ``channels``."""
    return nn.Sequential(*(block(guideline, setting, channels) for _ in range(BLOCKS_STACKED)))


def rows_of(guideline: Guideline, settings: Settings) -> tuple[Row, ...]:
    """The paper's rows for this kind of device."""
    return guideline.gpu if settings.on_gpu else guideline.arm


def complexities(guideline: Guideline, rows: tuple[Row, ...]) -> dict[str, Complexity]:
    """Complexity of every cell of a table, by id; asserts equal FLOPs along each column."""
    found = {}
    for scale, name in enumerate(SCALES):
        for row in rows:
            channels = row.channels[scale]
            found[cell_id(guideline, row, name)] = count_on_meta(
                partial(network, guideline.name, row.setting, channels),
                (1, channels[0], INPUT_SIZE, INPUT_SIZE),
            )
        first = found[cell_id(guideline, rows[0], name)].macs
        for row in rows:
            macs = found[cell_id(guideline, row, name)].macs
            assert abs(macs / first - 1) <= FLOPS_TOLERANCE, (guideline.name, row.label, name)
    return found


def cell_id(guideline: Guideline, row: Row, scale: str) -> str:
    """Name of one cell of a table."""
    return f'{guideline.name} {row.label} {scale}'


def run(bench: Bench) -> Result:
    """Measure all four tables and judge each guideline."""
    settings = bench.settings
    result = bench.result('guidelines', 'Do the four guidelines hold here?')
    threads = settings.threads or 1
    batch = settings.batch or (8 if settings.on_gpu else 1)
    with bench.stoppable():
        roofline = bench.roofline(settings, threads)
        for guideline in GUIDELINES:
            rows = rows_of(guideline, settings)
            cells = complexities(guideline, rows)
            macs = {key: cell.macs for key, cell in cells.items()}
            timings = _measure(bench, guideline, rows, batch, threads)
            for row in rows:
                for scale, name in enumerate(SCALES):
                    key = cell_id(guideline, row, name)
                    if key not in timings:
                        continue
                    timing = timings[key]
                    size = (INPUT_SIZE, INPUT_SIZE)
                    result.measurements.append(
                        {'id': key, 'name': row.label, 'guideline': guideline.name, 'scale': name}
                        | {'channels': list(row.channels[scale])}
                        | timing_fields(timing, settings, threads, size, COVERS)
                        | complexity_fields(cells[key], timing, roofline, settings.precision)
                        | {'paper_speed': row.speed[scale], 'paper_unit': paper_unit(settings)}
                    )
            found = judge(guideline, rows, timings, macs, settings.seed)
            if found:
                result.findings[guideline.name] = found
    return result


def _measure(
    bench: Bench, guideline: Guideline, rows: tuple[Row, ...], batch: int, threads: int
) -> dict[str, Timing]:
    workloads = []
    for row in rows:
        for scale, name in enumerate(SCALES):
            channels = row.channels[scale]
            build = partial(network, guideline.name, row.setting, channels)
            shape = (batch, channels[0], INPUT_SIZE, INPUT_SIZE)
            call = prepare_call(build, shape, bench.settings)
            workloads.append(Workload(cell_id(guideline, row, name), call, batch))
    plan = bench.settings.plan(1 / len(GUIDELINES), QUICK_SECONDS)
    return bench.time(f'{guideline.name}: {guideline.title}', workloads, threads, plan)


def paper_unit(settings: Settings) -> str:
    """Unit and machine of the paper's figures for this kind of device."""
    if settings.on_gpu:
        return 'batches/s, GTX 1080Ti'
    return 'images/s, Snapdragon 810, one thread'


def judge(
    guideline: Guideline,
    rows: tuple[Row, ...],
    timings: dict[str, Timing],
    macs: dict[str, int],
    seed: int = 0,
) -> dict:
    """The verdict over all rows and widths, and for each of them.

    A cell's ratio is the speed of the first row (which the guideline recommends)
    over the row's; the rounds give it one value each. The verdict over all takes
    in each round the geometric mean of the cells' ratios. Speeds are MACs per
    second here, since the FLOPs of a column differ by up to 5.5 %.
    """
    cells: dict[str, dict] = {}
    logs = []
    for row in rows[1:]:
        for name in SCALES:
            first, key = cell_id(guideline, rows[0], name), cell_id(guideline, row, name)
            if first not in timings or key not in timings:
                continue
            base, other = timings[first].round_medians, timings[key].round_medians
            rounds = min(len(base), len(other))
            ratios = other[:rounds] / base[:rounds] * (macs[first] / macs[key])
            logs.append(np.log(ratios))
            cells[f'{row.label} {name}'] = _judged(ratios, seed)
    if not cells:
        return {}
    rounds = min(len(values) for values in logs)
    overall = np.exp(np.mean([values[:rounds] for values in logs], axis=0))
    return _judged(overall, seed) | {'claim': guideline.claim, 'cells': cells}


def _judged(ratios: np.ndarray, seed: int) -> dict:
    word, middle, low, high = verdict(ratios, seed)
    return {'verdict': word, 'ratio': middle, 'low': low, 'high': high, 'rounds': len(ratios)}
