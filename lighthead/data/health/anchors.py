"""How well the anchors of an RPN can cover the boxes of a data set."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from lighthead.data.clean import clean_boxes

SIZES = (0, 8, 16, 32, 64, 128, 256, 1e5)
"""Bounds of box sizes, square root of the area in the network's pixels."""


@dataclass(frozen=True)
class Anchors:
    """The anchors of a detector and the size of its images.

    Attributes:
        name: Of the config.
        scale: (long side, short side) that images are scaled to fit into.
        levels: Per feature map its stride and the anchors (A, 4), x1, y1, x2, y2, of its first
            place; those of the others lie a stride apart.
    """

    name: str
    scale: tuple[int, int]
    levels: Sequence[tuple[int, np.ndarray]]


def scaled_boxes(content: Mapping[str, Any], scale: tuple[int, int]) -> Iterator[np.ndarray]:
    """Each usable box as (x1, y1, x2, y2, image width, image height) in the network's pixels."""
    content, _ = clean_boxes(content)
    sizes = {i['id']: (i.get('width'), i.get('height')) for i in content['images']}
    for annotation in content['annotations']:
        width, height = sizes.get(annotation['image_id'], (None, None))
        if width and height and not annotation['iscrowd']:
            x, y, w, h = annotation['bbox']
            factor = min(
                max(scale) / max(width, height),
                min(scale) / min(width, height),
            )
            yield np.array([x, y, x + w, y + h, width, height]) * factor


def best_overlaps(boxes: np.ndarray, anchors: Anchors) -> np.ndarray:
    """IoU (N,) of each box with the best of all anchors of its image.

    Of an anchor's shape, the place nearest to the box is the best one, so no other is looked at.

    Args:
        boxes: (N, 6) from :func:`scaled_boxes`.
    """
    best = np.zeros(len(boxes))
    low, high, image = boxes[:, :2], boxes[:, 2:4], boxes[:, 4:]
    for stride, shapes in anchors.levels:
        places = np.maximum(np.ceil(image / stride), 1) - 1
        for shape in shapes:
            centre = (shape[:2] + shape[2:]) / 2
            step = np.clip(np.round(((low + high) / 2 - centre) / stride), 0, places) * stride
            inside = np.minimum(high, shape[2:] + step) - np.maximum(low, shape[:2] + step)
            common = np.clip(inside, 0, None).prod(1)
            union = (high - low).prod(1) + (shape[2:] - shape[:2]).prod() - common
            best = np.maximum(best, common / union)
    return best


def coverage(boxes: np.ndarray, overlaps: np.ndarray) -> list[tuple[str, int, float, float, float]]:
    """Per range of :data:`SIZES`: name, boxes, their mean best IoU, shares from 0.5 and 0.7."""
    sides = np.sqrt((boxes[:, 2:4] - boxes[:, :2]).prod(1))
    rows = []
    for low, high in pairwise(SIZES):
        own = overlaps[(sides >= low) & (sides < high)]
        name = f'{low:g} to {high:g}' if high < 1e5 else f'from {low:g}'
        if len(own):
            half, most = float((own >= 0.5).mean()), float((own >= 0.7).mean())
            rows.append((name, len(own), float(own.mean()), half, most))
    return rows
