"""Greedy suppression of boxes that overlap better ones, in numpy."""

import numpy as np

BLOCK = 256
"""Boxes whose overlaps with each other are computed at once."""


def greedy_suppression(boxes: np.ndarray, iou_thr: float, max_num: int | None = None) -> np.ndarray:
    """The boxes that overlap no kept one before them by more than ``iou_thr``.

    Args:
        boxes: (N, 4) as x1, y1, x2, y2, best first.
        iou_thr: Largest intersection over union of two kept boxes.
        max_num: How many to keep at most; None: all.

    Returns:
        Indices (M,) int64, best first.
    """
    boxes = boxes.astype(np.float64)
    most = len(boxes) if max_num is None else max_num
    kept = np.zeros(0, np.int64)
    for start in range(0, len(boxes), BLOCK):
        if len(kept) >= most:
            break
        fresh = np.arange(start, min(start + BLOCK, len(boxes)))
        free = ~overlapping(boxes[kept], boxes[fresh], iou_thr).any(axis=0)
        kept = np.concatenate((kept, _first_of(boxes, fresh[free], iou_thr)))
    return kept[:most]


def _first_of(boxes: np.ndarray, indices: np.ndarray, iou_thr: float) -> np.ndarray:
    """What is kept of the boxes at ``indices``, best first."""
    overlap = overlapping(boxes[indices], boxes[indices], iou_thr)
    free = np.ones(len(indices), bool)
    for row in range(len(indices)):
        if free[row]:
            free[row + 1 :] &= ~overlap[row, row + 1 :]
    return indices[free]


def overlapping(first: np.ndarray, second: np.ndarray, iou_thr: float) -> np.ndarray:
    """Whether boxes (N, 4) overlap boxes (M, 4) by more than ``iou_thr``: bool (N, M)."""
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    shared = (high - low).clip(0, None).prod(axis=2)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(axis=1) for boxes in (first, second)]
    return shared > iou_thr * (areas[0][:, None] + areas[1][None] - shared)
