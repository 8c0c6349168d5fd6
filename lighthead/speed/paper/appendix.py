"""Appendix of the ShuffleNet V2 paper (arXiv 1807.11164): other sizes, single blocks.

Resolutions: ``gpu`` is batches/s on a GTX 1080Ti, ``arm`` images/s on one thread
of a Snapdragon 810, each at 40M, 140M, 300M and 500M (complexity at 224x224).
Four cells are marked in the paper as measured differently: ``GPU_APART``.

Blocks: speeds of single building blocks at equal FLOPs; the three columns are
the widths c = 64, 128, 256 of the ShuffleNet v2 block.
"""

from typing import NamedTuple

COMPLEXITIES = ('40M', '140M', '300M', '500M')


class Speeds(NamedTuple):
    """The paper's speeds on its two platforms, one figure per column."""

    gpu: tuple[float, ...]
    arm: tuple[float, ...]


RESOLUTIONS = {
    # (height, width): network: GPU batches/s, ARM images/s
    (320, 320): {
        'ShuffleNet v2': Speeds((315, 525, 474, 422), (28.1, 12.5, 6.1, 3.4)),
        'ShuffleNet v1': Speeds((236, 414, 344, 275), (27.2, 11.4, 5.1, 3.1)),
        'MobileNet v2': Speeds((187, 460, 389, 335), (11.4, 6.4, 4.6, 2.7)),
        'Xception': Speeds((279, 463, 408, 350), (31.1, 10.1, 5.6, 3.5)),
    },
    (480, 640): {
        'ShuffleNet v2': Speeds((424, 394, 297, 250), (9.3, 4.0, 1.9, 1.1)),
        'ShuffleNet v1': Speeds((396, 269, 198, 156), (8.0, 3.7, 1.6, 1.0)),
        'MobileNet v2': Speeds((338, 248, 208, 165), (3.8, 2.0, 1.4, 0.8)),
        'Xception': Speeds((399, 326, 244, 209), (9.6, 3.2, 1.7, 1.1)),
    },
    (720, 1080): {
        'ShuffleNet v2': Speeds((248, 197, 141, 115), (3.5, 1.5, 0.7, 0.4)),
        'ShuffleNet v1': Speeds((203, 131, 96, 77), (2.9, 1.4, 0.4, 0.3)),
        'MobileNet v2': Speeds((159, 117, 99, 78), (1.4, 0.7, 0.3, 0.3)),
        'Xception': Speeds((232, 160, 124, 106), (3.6, 1.2, 0.5, 0.4)),
    },
}
GPU_APART = ((320, 320), '40M')
"""The GPU figures of this size and complexity were measured differently (starred there)."""

BLOCK_WIDTHS = (64, 128, 256)
BLOCKS = {
    # input size: block: GPU, ARM
    56: {
        'ShuffleNet v2': Speeds((216, 142, 81), (34.8, 12.3, 3.9)),
        'ShuffleNet v1': Speeds((127, 73, 45), (24.3, 9.4, 3.0)),
        'MobileNet v2': Speeds((89, 125, 69), (25.8, 10.0, 3.0)),
        'Xception': Speeds((185, 52, 68), (27.0, 9.7, 3.1)),
    },
    28: {
        'ShuffleNet v2': Speeds((407, 313, 237), (174.5, 53.4, 16.6)),
        'ShuffleNet v1': Speeds((298, 222, 60), (139.7, 43.9, 13.2)),
        'MobileNet v2': Speeds((381, 286, 189), (118.3, 46.2, 13.3)),
        'Xception': Speeds((254, 238, 169), (117.0, 45.8, 14.0)),
    },
}
