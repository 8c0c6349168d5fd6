"""Table 8 of the ShuffleNet V2 paper (arXiv 1807.11164): classification and speed.

MFLOPs are multiply-adds, as everywhere in the paper; error is ImageNet's top-1
in %; ``gpu`` is batches/s at batch 8 on a GTX 1080Ti; ``arm`` is images/s on one
thread of a Snapdragon 810. 224x224 where ``size`` does not say otherwise.
"""

from typing import NamedTuple


class Row(NamedTuple):
    """One network of the table."""

    model: str
    mflops: float | None
    error: float | None
    gpu: float | None
    arm: float | None
    size: int = 224


TABLE8 = (
    # model, MFLOPs, top-1 error, GPU batches/s, ARM images/s, input
    Row('ShuffleNet v2 0.5x', 41, 39.7, 417, 57.0),
    Row('MobileNet v1 0.25', 41, 49.4, 502, 36.4),
    Row('MobileNet v2 0.4', 43, 43.4, 333, 33.2, 160),
    Row('MobileNet v2 0.15', 39, 55.1, 351, 33.6),
    Row('ShuffleNet v1 0.5x', 38, 43.2, 347, 56.8),
    Row('DenseNet 0.5x', 42, 58.6, 366, 39.7),
    Row('Xception 0.5x', 40, 44.9, 384, 52.9),
    Row('IGCV2-0.25', 46, 45.1, 183, 31.5),
    Row('ShuffleNet v2 1x', 146, 30.6, 341, 24.4),
    Row('MobileNet v1 0.5', 149, 36.3, 382, 16.5),
    Row('MobileNet v2 0.75', 145, 32.1, 235, 15.9, 192),
    Row('MobileNet v2 0.6', 141, 33.3, 249, 14.9),
    Row('ShuffleNet v1 1x', 140, 32.6, 213, 21.8),
    Row('DenseNet 1x', 142, 45.2, 279, 15.8),
    Row('Xception 1x', 145, 34.1, 278, 19.5),
    Row('IGCV2-0.5', 156, 34.5, 132, 15.5),
    Row('IGCV3-D 0.7', 210, 31.5, 143, 11.7),
    Row('ShuffleNet v2 1.5x', 299, 27.4, 255, 11.8),
    Row('MobileNet v1 0.75', 325, 31.6, 314, 10.6),
    Row('MobileNet v2 1.0', 300, 28.0, 180, 8.9),
    Row('MobileNet v2 1.0 (our impl.)', 301, 28.3, 180, 8.9),
    Row('ShuffleNet v1 1.5x', 292, 28.5, 164, 10.3),
    Row('DenseNet 1.5x', 295, 39.9, 274, 9.7),
    Row('CondenseNet (G=C=8)', 274, 29.0, None, None),
    Row('Xception 1.5x', 305, 29.4, 219, 10.5),
    Row('IGCV3-D', 318, 27.8, 102, 6.3),
    Row('ShuffleNet v2 2x', 591, 25.1, 217, 6.7),
    Row('MobileNet v1 1.0', 569, 29.4, 247, 6.5),
    Row('MobileNet v2 1.4', 585, 25.3, 137, 5.4),
    Row('MobileNet v2 1.4 (our impl.)', 587, 26.7, 137, 5.4),
    Row('ShuffleNet v1 2x', 524, 26.3, 133, 6.4),
    Row('DenseNet 2x', 519, 34.6, 197, 6.1),
    Row('CondenseNet (G=C=4)', 529, 26.2, None, None),
    Row('Xception 2x', 525, 27.6, 174, 6.7),
    Row('IGCV2-1.0', 564, 29.3, 81, 4.9),
    Row('IGCV3-D 1.4', 610, 25.5, 82, 4.5),
    Row('ShuffleNet v2 2x + SE', 597, 24.6, 161, 5.6),
    Row('NASNet-A (4 @ 1056)', 564, 26.0, 130, 4.6),
    Row('PNASNet-5', 588, 25.8, 115, 4.1),
)
BATCH = 8
BY_MODEL = {row.model: row for row in TABLE8}
