"""Recall of the region proposals: the share of objects that the second stage can find at all.

Light-Head R-CNN (arXiv 1711.07264) stands and falls with its proposals; where AP is low, this
says which of the two stages is to blame.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torchvision.ops import box_iou

THRESHOLDS = (0.5, 0.75)


def count_recalled(proposals: np.ndarray, objects: np.ndarray) -> list[int]:
    """How many objects of an image some proposal overlaps, at each IoU of :data:`THRESHOLDS`.

    Args:
        proposals: (P, 4) boxes (x1, y1, x2, y2).
        objects: (G, 4) boxes in the same frame.
    """
    if not len(proposals) or not len(objects):
        return [0] * len(THRESHOLDS)
    best = box_iou(*(torch.as_tensor(boxes).double() for boxes in (objects, proposals))).amax(1)
    return [int((best >= threshold).sum()) for threshold in THRESHOLDS]


def proposal_recall(recalled: Sequence[Sequence[int]], objects: int) -> dict[str, float]:
    """``rpn_recall_50`` and ``rpn_recall_75`` of all images; -1 where there is no object.

    Args:
        recalled: :func:`count_recalled` of each image.
        objects: How many objects all images have.
    """
    totals = np.sum(recalled, axis=0)
    return {
        f'rpn_recall_{round(100 * threshold)}': float(total / objects) if objects else -1.0
        for threshold, total in zip(THRESHOLDS, totals, strict=True)
    }
