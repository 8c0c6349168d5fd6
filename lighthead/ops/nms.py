"""Exact greedy non-maximum suppression that stops when it has enough.

Greedy suppression goes through the boxes by falling score, and a box can only
be removed by a better one. So the first boxes kept of a prefix are the first
kept of all: 100 detections of 80,000 candidates (1000 RoIs, 80 classes, no
score threshold, as Light-Head R-CNN is tested; arXiv 1711.07264, section 4)
need a prefix of a few hundred, and neither the sort nor the IoUs of the rest.

Where many are to be kept, as of an RPN, a block of candidates is compared with all kept
boxes at once on a CPU, in vectorised operations; torchvision's kernel takes one
pair after the other.

With labels, IoUs are computed in float64, where classes can be moved apart without loss (in
float32 that shifts coordinates by up to 1/128 pixel for 80 classes); without labels in the type
of the boxes, as :func:`torchvision.ops.nms` does.

On a GPU it works, but every round waits for the device; see :mod:`lighthead.ops.fixed_nms` for
one that does not.
"""

import itertools
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
import torchvision
from torch import Tensor

PLAIN_NMS = {'type', 'iou_threshold'}
"""Settings of mmcv's ``nms_cfg`` that :func:`batched_nms_topk` carries out."""
BLOCK = 256
"""Candidates that are compared at once on a CPU: what they need fits into its caches."""
GROWTH_MARGIN = 1.5
"""How many more candidates to take than the share kept so far calls for."""
SORT_AHEAD = 4
"""Candidates to sort at first, per box to keep; where these run out, eight times as many."""


def is_plain_nms(nms_cfg: Mapping[str, Any]) -> bool:
    """Whether a config asks for greedy suppression within each class and nothing else.

    Soft suppression, ``class_agnostic``, ``max_num`` and the like need mmcv's ``batched_nms``.
    """
    return nms_cfg.get('type', 'nms') == 'nms' and set(nms_cfg) <= PLAIN_NMS


def batched_nms_topk(
    boxes: Tensor,
    scores: Tensor,
    labels: Tensor | None,
    iou_threshold: float,
    max_num: int,
) -> Tensor:
    """The first ``max_num`` boxes that greedy suppression within each class keeps.

    A box is removed if its IoU with a kept box of its class is strictly above
    the threshold. Boxes count by (score descending, index ascending). Equal to
    the first ``max_num`` of :func:`torchvision.ops.batched_nms`.

    Args:
        boxes: (N, 4) as (x1, y1, x2, y2), finite.
        scores: (N,).
        labels: (N,) class ids from 0, or None if all boxes are of one class.
        iou_threshold: Largest IoU that two kept boxes of a class may have.
        max_num: How many boxes to keep at most.

    Returns:
        Indices (M,) of the kept boxes, best first, M <= max_num.
    """
    total = scores.shape[0]
    if labels is None:
        boxes = boxes.to(torch.promote_types(boxes.dtype, torch.float32))
    order = _best_first(scores, SORT_AHEAD * max_num)
    apart = _class_span(boxes) if labels is not None and total else None
    kept, kept_boxes = order[:0], boxes[:0]
    in_blocks = labels is None and boxes.device.type == 'cpu'
    seen, size = 0, BLOCK if in_blocks else max_num
    while kept.shape[0] < max_num and seen < total:
        if seen == order.shape[0]:
            order = _best_first(scores, 8 * seen)
        fresh = order[seen : seen + size]
        seen += fresh.shape[0]
        fresh_boxes = boxes[fresh]
        if labels is not None and apart is not None:
            fresh_boxes = fresh_boxes.double() + (labels[fresh].double() * apart)[:, None]
        suppress = _kept_of_block if in_blocks else _kept_of_list
        more = suppress(kept_boxes, fresh_boxes, iou_threshold)
        kept = torch.cat((kept, fresh[more]))
        kept_boxes = torch.cat((kept_boxes, fresh_boxes[more]))
        size = BLOCK if in_blocks else _next_size(seen, kept.shape[0], max_num)
    return kept[:max_num]


def _best_first(scores: Tensor, count: int) -> Tensor:
    """Indices of at least the ``count`` best scores, by (score descending, index ascending).

    Whatever equals the last of them is in too, so that a longer answer always
    begins with a shorter one.
    """
    if 0 < 2 * count < scores.shape[0]:
        least = scores.topk(count, sorted=False).values.min()
        chosen = (~(scores < least)).nonzero().squeeze(1)
        return chosen[scores[chosen].sort(descending=True, stable=True).indices]
    return scores.sort(descending=True, stable=True).indices


def _class_span(boxes: Tensor) -> Tensor:
    """A whole number (float64) above every distance between two boxes' sides."""
    low, high = boxes.double().aminmax()
    return (high - low).ceil() + 1


def _kept_of_list(kept: Tensor, fresh: Tensor, iou_threshold: float) -> Tensor:
    """Indices of the boxes that are kept among fresh ones (N, 4), best first, after ``kept`` ones
    (M, 4), which are better and do not overlap one another."""
    boxes = torch.cat((kept, fresh))
    falling = torch.arange(boxes.shape[0], 0, -1, device=boxes.device, dtype=boxes.dtype)
    return torchvision.ops.nms(boxes, falling, iou_threshold)[kept.shape[0] :] - kept.shape[0]


def _kept_of_block(kept: Tensor, fresh: Tensor, iou_threshold: float) -> Tensor:
    """The same, vectorised."""
    index = (~overlaps(kept, fresh, iou_threshold).any(0)).nonzero().squeeze(1)
    fresh = fresh[index]
    over = overlaps(fresh, fresh, iou_threshold).triu_(1)
    return index[greedy_fixpoint(torch.ones_like(index, dtype=torch.bool), over).kept]


class Suppressed(NamedTuple):
    """``kept`` (..., N) bool; ``settled`` (...,) bool: the rounds sufficed, so that it is exact."""

    kept: Tensor
    settled: Tensor


def greedy_fixpoint(valid: Tensor, over: Tensor, rounds: int | None = None) -> Suppressed:
    """Greedy suppression from a table of overlaps.

    Whether a box is kept depends on the better boxes that overlap it, and on whether those are
    kept. So: start from "all are kept", and let every kept box remove what it overlaps, again and
    again. After t rounds a box is right if the chains of overlaps that end at it are no longer
    than t; once a round changes nothing, the answer is that of greedy suppression.

    Args:
        valid: (..., N) bool; others are neither kept nor do they remove anything.
        over: (..., N, N) bool, whether box i is better than box j and overlaps it.
        rounds: How many; None goes on until nothing changes, which waits for the device.
    """
    over = over.to(torch.float32)
    before = kept = valid
    for _ in itertools.count() if rounds is None else range(rounds):
        removing = (kept.to(torch.float32).unsqueeze(-2) @ over).squeeze(-2)
        before, kept = kept, valid & (removing == 0)
        if rounds is None and torch.equal(before, kept):
            break
    return Suppressed(kept, (before == kept).all(-1))


def overlaps(first: Tensor, second: Tensor, iou_threshold: float) -> Tensor:
    """Whether IoUs (..., N, M) of boxes (..., N, 4) with boxes (..., M, 4) are above a threshold.

    Boxes are (x1, y1, x2, y2); the arithmetic is torchvision's.
    """
    x1, y1, x2, y2 = first.movedim(-1, 0).contiguous().unsqueeze(-1)
    left, top, right, bottom = second.movedim(-1, 0).contiguous().unsqueeze(-2)
    width = (torch.minimum(x2, right) - torch.maximum(x1, left)).clamp_(min=0)
    height = (torch.minimum(y2, bottom) - torch.maximum(y1, top)).clamp_(min=0)
    shared = width.mul_(height)
    areas = ((x2 - x1) * (y2 - y1)) + ((right - left) * (bottom - top))
    return shared.div_(areas.sub_(shared)) > iou_threshold


def _next_size(seen: int, kept: int, needed: int) -> int:
    """How many candidates to take next: what the share kept so far suggests, at most doubling."""
    missing = needed - kept
    return max(1, min(2 * seen, int(GROWTH_MARGIN * missing * seen / max(kept, 1)) + 16))
