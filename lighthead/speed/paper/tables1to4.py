"""Tables 1-4 of the ShuffleNet V2 paper (arXiv 1807.11164): the four guidelines.

Each network is ten stacked blocks at 56x56. Speeds: batches/s on a GTX 1080Ti (gpu), images/s
on one thread of a Snapdragon 810 (arm). Each row has three widths, x1, x2 and x4; the channels
of the rows of a column are chosen so that its FLOPs are equal, which those of G2 and G3 are as
far as whole groups and whole channels allow. What a row's setting means to its block:
:mod:`lighthead.speed.networks.guideline_blocks`.
"""

from typing import NamedTuple

BLOCKS_STACKED = 10
INPUT_SIZE = 56
"""Height and width of the blocks' input; the captions of our copy do not give it."""
FLOPS_TOLERANCE = 0.06
"""How far the FLOPs of a column's rows may differ: the paper's rounded channels do, by 5.5 %."""
SCALES = ('x1', 'x2', 'x4')


class Row(NamedTuple):
    """One row of a guideline's table; ``channels`` and ``speed`` are those of the widths."""

    label: str
    setting: str
    channels: tuple[tuple[int, ...], ...]
    speed: tuple[float, ...]


class Guideline(NamedTuple):
    """A guideline and what the paper concludes."""

    name: str
    title: str
    claim: str

    def rows(self, platform: str) -> tuple[Row, ...]:
        """The paper's rows for ``gpu`` or ``arm``; the first is the one it recommends."""
        return tuple(row for *key, row in _ROWS if key == [self.name, platform])


GUIDELINES = (
    Guideline(
        'G1',
        'Equal channel width minimizes memory access',
        'equal input and output channels are faster than unequal ones',
    ),
    Guideline(
        'G2',
        'Too much group convolution increases memory access',
        'a dense 1x1 convolution is faster than a group convolution of equal FLOPs',
    ),
    Guideline(
        'G3',
        'Fragmentation reduces the degree of parallelism',
        'one convolution is faster than several small ones of equal FLOPs',
    ),
    Guideline(
        'G4',
        'Element-wise operations are not negligible',
        'a block without ReLU and shortcut is faster than one with them',
    ),
)
_TABLES = """
G1 | gpu | c1:c2 = 1:1         |               | 128,128 256,256 512,512 | 1480 723 232
G1 | gpu | c1:c2 = 1:2         |               | 90,180 180,360 360,720  | 1296 586 206
G1 | gpu | c1:c2 = 1:6         |               | 52,312 104,624 208,1248 | 876 489 189
G1 | gpu | c1:c2 = 1:12        |               | 36,432 72,864 144,1728  | 748 392 163
G1 | arm | c1:c2 = 1:1         |               | 32,32 64,64 128,128     | 76.2 21.7 5.3
G1 | arm | c1:c2 = 1:2         |               | 22,44 44,88 88,176      | 72.9 20.5 5.1
G1 | arm | c1:c2 = 1:6         |               | 13,78 26,156 52,312     | 69.1 17.9 4.6
G1 | arm | c1:c2 = 1:12        |               | 9,108 18,216 36,432     | 57.6 15.1 4.4
G2 | gpu | g = 1               | 1             | 128 256 512             | 2451 1289 437
G2 | gpu | g = 2               | 2             | 180 360 720             | 1725 873 341
G2 | gpu | g = 4               | 4             | 256 512 1024            | 1026 644 338
G2 | gpu | g = 8               | 8             | 360 720 1440            | 634 445 230
G2 | arm | g = 1               | 1             | 64 128 256              | 40 10.2 2.3
G2 | arm | g = 2               | 2             | 90 180 360              | 35 9.5 2.2
G2 | arm | g = 4               | 4             | 128 256 512             | 32.9 8.7 2.1
G2 | arm | g = 8               | 8             | 184 360 720             | 27.8 7.5 1.8
G3 | gpu | 1-fragment          | 1 series      | 128 256 512             | 2446 1274 434
G3 | gpu | 2-fragment-series   | 2 series      | 91 181 362              | 1790 909 336
G3 | gpu | 4-fragment-series   | 4 series      | 64 128 256              | 752 745 349
G3 | gpu | 2-fragment-parallel | 2 parallel    | 91 181 362              | 1537 803 320
G3 | gpu | 4-fragment-parallel | 4 parallel    | 64 128 256              | 691 572 292
G3 | arm | 1-fragment          | 1 series      | 64 128 256              | 40.2 10.1 2.3
G3 | arm | 2-fragment-series   | 2 series      | 45 91 181               | 38.6 10.1 2.2
G3 | arm | 4-fragment-series   | 4 series      | 32 64 128               | 38.4 10.1 2.3
G3 | arm | 2-fragment-parallel | 2 parallel    | 45 91 181               | 33.4 9.1 2.2
G3 | arm | 4-fragment-parallel | 4 parallel    | 32 64 128               | 35 8.4 2.1
G4 | gpu | neither             |               | 32 64 128               | 2842 2376 1782
G4 | gpu | ReLU only           | relu          | 32 64 128               | 2647 2256 1735
G4 | gpu | shortcut only       | shortcut      | 32 64 128               | 2672 2121 1458
G4 | gpu | ReLU + shortcut     | relu shortcut | 32 64 128               | 2427 2066 1436
G4 | arm | neither             |               | 32 64 128               | 66.3 20.2 5.4
G4 | arm | ReLU only           | relu          | 32 64 128               | 61.9 18.8 5.2
G4 | arm | shortcut only       | shortcut      | 32 64 128               | 57.3 18.2 5.1
G4 | arm | ReLU + shortcut     | relu shortcut | 32 64 128               | 56.7 16.9 5
"""
"""Guideline, platform, row, setting, channels of the three widths, speeds of the three widths."""


def _parse(line: str) -> tuple[str, str, Row]:
    guideline, platform, label, setting, channels, speed = (
        part.strip() for part in line.split('|')
    )
    widths = tuple(tuple(map(int, width.split(','))) for width in channels.split())
    return guideline, platform, Row(label, setting, widths, tuple(map(float, speed.split())))


_ROWS = [_parse(line) for line in _TABLES.strip().splitlines()]
