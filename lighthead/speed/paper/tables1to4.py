"""Tables 1-4 of the ShuffleNet V2 paper (arXiv 1807.11164): the four guidelines.

Each network is ten stacked blocks at 56x56. ``gpu``: batches/s on a GTX 1080Ti; ``arm``:
images/s on one thread of a Snapdragon 810. Each row has three widths, x1, x2 and x4; the
channels of the rows of a column are chosen so that its FLOPs are equal. The rows of a
platform differ in their channels, so each platform has its own.
"""

from typing import NamedTuple

Speeds = tuple[float, float, float]
"""The paper's figure at the three widths."""
BLOCKS_STACKED = 10
INPUT_SIZE = 56
"""Height and width of the blocks' input; the captions of our copy do not give it."""
FLOPS_TOLERANCE = 0.06
"""How far the FLOPs of a column's rows may differ: the paper's rounded channels do, by 5.5 %."""
SCALES = ('x1', 'x2', 'x4')


class Row(NamedTuple):
    """One row of a guideline's table, for one platform; ``label`` is the same on both.

    ``setting`` is what the row varies, see the table's legend; ``channels`` are those of the
    three widths.
    """

    label: str
    setting: tuple
    channels: tuple[tuple[int, ...], ...]
    speed: Speeds


class Guideline(NamedTuple):
    """A guideline, what the paper concludes, and its table; the first row is recommended."""

    name: str
    title: str
    claim: str
    legend: str
    gpu: tuple[Row, ...]
    arm: tuple[Row, ...]

    def rows(self, on_gpu: bool) -> tuple[Row, ...]:
        """The paper's rows for this kind of device."""
        return self.gpu if on_gpu else self.arm


def _ratio(ratio: int, c1: int, c2: int, *speed: float) -> Row:
    channels = tuple((c1 * scale, c2 * scale) for scale in (1, 2, 4))
    return Row(f'c1:c2 = 1:{ratio}', (ratio,), channels, speed)


def _groups(groups: int, width: int, *speed: float) -> Row:
    # 180 channels (ARM, x1) are not divisible by 8: the next number that is, 184
    channels = tuple((-(-width * scale // groups) * groups,) for scale in (1, 2, 4))
    return Row(f'g = {groups}', (groups,), channels, speed)


def _fragments(count: int, layout: str, width: int, *speed: float) -> Row:
    # width: of the 1-fragment block; n convolutions of c / sqrt(n) cost as much
    label = '1-fragment' if count == 1 else f'{count}-fragment-{layout}'
    channels = tuple((round(width * scale / count**0.5),) for scale in (1, 2, 4))
    return Row(label, (count, layout), channels, speed)


def _elementwise(label: str, relu: bool, shortcut: bool, *speed: float) -> Row:
    return Row(label, (relu, shortcut), ((32,), (64,), (128,)), speed)


G1 = Guideline(
    'G1',
    'Equal channel width minimizes memory access',
    'equal input and output channels are faster than unequal ones',
    'setting: c2 / c1; channels: (c1, c2); block: 1x1 c1->c2, 1x1 c2->c1',
    gpu=(
        _ratio(1, 128, 128, 1480, 723, 232),
        _ratio(2, 90, 180, 1296, 586, 206),
        _ratio(6, 52, 312, 876, 489, 189),
        _ratio(12, 36, 432, 748, 392, 163),
    ),
    arm=(
        _ratio(1, 32, 32, 76.2, 21.7, 5.3),
        _ratio(2, 22, 44, 72.9, 20.5, 5.1),
        _ratio(6, 13, 78, 69.1, 17.9, 4.6),
        _ratio(12, 9, 108, 57.6, 15.1, 4.4),
    ),
)
G2 = Guideline(
    'G2',
    'Too much group convolution increases memory access',
    'a dense 1x1 convolution is faster than a group convolution of equal FLOPs',
    'setting: groups g; channels: (c,); block: one 1x1 group convolution c->c',
    gpu=(
        _groups(1, 128, 2451, 1289, 437),
        _groups(2, 180, 1725, 873, 341),
        _groups(4, 256, 1026, 644, 338),
        _groups(8, 360, 634, 445, 230),
    ),
    arm=(
        _groups(1, 64, 40.0, 10.2, 2.3),
        _groups(2, 90, 35.0, 9.5, 2.2),
        _groups(4, 128, 32.9, 8.7, 2.1),
        _groups(8, 180, 27.8, 7.5, 1.8),
    ),
)
G3 = Guideline(
    'G3',
    'Fragmentation reduces the degree of parallelism',
    'one convolution is faster than several small ones of equal FLOPs',
    'setting: (fragments n, layout); channels: (c / sqrt(n),); block: n 1x1 convolutions, '
    'in series or in parallel with their outputs added',
    gpu=(
        _fragments(1, 'series', 128, 2446, 1274, 434),
        _fragments(2, 'series', 128, 1790, 909, 336),
        _fragments(4, 'series', 128, 752, 745, 349),
        _fragments(2, 'parallel', 128, 1537, 803, 320),
        _fragments(4, 'parallel', 128, 691, 572, 292),
    ),
    arm=(
        _fragments(1, 'series', 64, 40.2, 10.1, 2.3),
        _fragments(2, 'series', 64, 38.6, 10.1, 2.2),
        _fragments(4, 'series', 64, 38.4, 10.1, 2.3),
        _fragments(2, 'parallel', 64, 33.4, 9.1, 2.2),
        _fragments(4, 'parallel', 64, 35.0, 8.4, 2.1),
    ),
)
G4 = Guideline(
    'G4',
    'Element-wise operations are not negligible',
    'a block without ReLU and shortcut is faster than one with them',
    'setting: (ReLU, shortcut); channels: (c,); block: bottleneck 1x1, 3x3, 1x1 of c channels',
    gpu=(
        _elementwise('neither', False, False, 2842, 2376, 1782),
        _elementwise('ReLU only', True, False, 2647, 2256, 1735),
        _elementwise('shortcut only', False, True, 2672, 2121, 1458),
        _elementwise('ReLU + shortcut', True, True, 2427, 2066, 1436),
    ),
    arm=(
        _elementwise('neither', False, False, 66.3, 20.2, 5.4),
        _elementwise('ReLU only', True, False, 61.9, 18.8, 5.2),
        _elementwise('shortcut only', False, True, 57.3, 18.2, 5.1),
        _elementwise('ReLU + shortcut', True, True, 56.7, 16.9, 5.0),
    ),
)
GUIDELINES = (G1, G2, G3, G4)
