"""Exact greedy suppression of a fixed size: masks in, masks out, and nothing waits for a value.

Whether a box is kept depends on the better boxes that overlap it, and on whether those are kept.
So: start from "all are kept", and let every kept box strike out what it overlaps, again and again.
After t rounds a box is right if the chains of overlaps that end at it are no longer than t; once
a round changes nothing, the answer is that of greedy suppression. Going through the boxes in
blocks, best first, keeps the chains short and skips half of the overlaps. All shapes are known
beforehand, which is what a CUDA graph needs.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from lighthead.ops.nms import overlaps

BLOCK = 1024
"""Boxes whose overlaps among themselves are resolved in rounds."""
ROUNDS = 16
"""Rounds per block, by default."""


class Suppressed(NamedTuple):
    """``kept`` (B, N) bool; ``settled`` (B,) bool: the rounds sufficed, so that it is exact."""

    kept: Tensor
    settled: Tensor


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
        open_ = valid[:, block]
        if start:
            open_ = open_ & ~_struck(kept[:, :start], over[:, :start])
        inside = over[:, start:].triu(1)
        now = open_
        for _ in range(rounds):
            before, now = now, open_ & ~_struck(now, inside)
        settled = settled & (before == now).all(1)
        kept = torch.cat((kept[:, :start], now, kept[:, block.stop :]), dim=1)
    return Suppressed(kept, settled)


def _struck(kept: Tensor, over: Tensor) -> Tensor:
    """Which boxes (B, M) a kept one (B, N) overlaps, by ``over`` (B, N, M)."""
    return (kept[:, :, None] & over).any(1)
