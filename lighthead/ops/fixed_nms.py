"""Exact greedy suppression of a fixed size: masks in, masks out, and nothing waits for a value.

The rounds of :func:`lighthead.ops.nms.greedy_fixpoint`, a fixed number of them. Going through the
boxes in blocks, best first, keeps the chains of overlaps short and skips half of the overlaps. All
shapes are known beforehand, which is what a CUDA graph needs.
"""

import torch
from torch import Tensor

from lighthead.ops.nms import Suppressed, greedy_fixpoint, overlaps

BLOCK = 1024
"""Boxes whose overlaps among themselves are resolved in rounds."""
ROUNDS = 16
"""Rounds per block, by default."""


def fixed_nms(
    boxes: Tensor,
    valid: Tensor,
    iou_threshold: float,
    labels: Tensor | None = None,
    rounds: int = ROUNDS,
) -> Suppressed:
    """Greedy suppression of every image of a batch.

    A box is removed if its IoU with a better kept box (of its class) is strictly above the
    threshold; IoUs are computed in the type of the boxes.

    Args:
        boxes: (B, N, 4) as (x1, y1, x2, y2), best first.
        valid: (B, N) bool; others are neither kept nor do they remove anything.
        iou_threshold: Largest IoU that two kept boxes of a class may have.
        labels: (B, N) class ids, or None if all boxes are of one class.
        rounds: Per block, at most.
    """
    kept = torch.zeros_like(valid)
    settled = torch.ones_like(valid[:, 0])
    for start in range(0, boxes.shape[1], BLOCK):
        block = slice(start, min(start + BLOCK, boxes.shape[1]))
        over = overlaps(boxes[:, : block.stop], boxes[:, block], iou_threshold)
        if labels is not None:
            over = over & (labels[:, : block.stop, None] == labels[:, None, block])
        possible = valid[:, block]
        if start:
            removed = (kept[:, :start, None] & over[:, :start]).any(1)
            possible = possible & ~removed
        inside = greedy_fixpoint(possible, over[:, start:].triu(1), rounds)
        settled = settled & inside.settled
        kept = torch.cat((kept[:, :start], inside.kept, kept[:, block.stop :]), dim=1)
    return Suppressed(kept, settled)
