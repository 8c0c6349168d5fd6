"""Table 7 of the ShuffleNet V2 paper (arXiv 1807.11164): detection on COCO.

Light-Head R-CNN, minival 5k. ``map``: mmAP in %; ``images_per_s``: on one GTX
1080Ti at 800x1200, batch 4. Columns: the backbone's complexity at 224x224.
"""

from typing import NamedTuple

COMPLEXITIES = ('40M', '140M', '300M', '500M')
WIDTHS = ('0.5x', '1x', '1.5x', '2x')


class Row(NamedTuple):
    """One backbone of the table at the four complexities."""

    map: tuple[float, float, float, float]
    images_per_s: tuple[float, float, float, float]


TABLE7 = {
    'Xception': Row((21.9, 29.0, 31.3, 32.9), (178, 131, 101, 83)),
    'ShuffleNet v1': Row((20.9, 27.0, 29.9, 32.9), (152, 85, 76, 60)),
    'MobileNet v2': Row((20.7, 24.4, 30.0, 30.6), (146, 111, 94, 72)),
    'ShuffleNet v2': Row((22.5, 29.0, 31.8, 33.3), (188, 146, 109, 87)),
    'ShuffleNet v2*': Row((23.7, 29.6, 32.2, 34.2), (183, 138, 105, 83)),
}
IMAGE_SIZE = (800, 1200)
BATCH = 4
