"""Greedy suppression of batches, with the inputs and outputs of ONNX's NonMaxSuppression.

Two forms give the same answer: plain torch operators with torchvision's ``nms``
(for eager calls and torch.export), and one operator, ``lighthead::suppress``,
that :mod:`lighthead.deploy.export_onnx` turns into the standard's NonMaxSuppression.
"""

import torch
import torchvision
from torch import Tensor


def suppress(
    boxes: Tensor, scores: Tensor, max_num: int, iou_threshold: float, score_thr: float | Tensor
) -> Tensor:
    """What greedy suppression keeps, class by class and image by image.

    A box is removed if its IoU with a kept one is strictly above the threshold.
    Ties of the score go to the smaller index.

    Args:
        boxes: (B, N, 4) as x1, y1, x2, y2.
        scores: (B, C, N).
        max_num: How many to keep per class and image.
        score_thr: Candidates must have a higher score.

    Returns:
        (K, 3) of (image, class, box), sorted by image, class, box.
    """
    batch, classes, count = scores.shape
    flat = scores.reshape(-1)
    candidates = (flat > score_thr).nonzero().squeeze(1)
    group = candidates // count
    near = boxes.reshape(-1, 4).double()
    near = near[(group // classes) * count + candidates % count]
    low, high = boxes.double().amin(), boxes.double().amax()
    apart = group.double() * ((high - low).ceil() + 1)
    order = flat[candidates].sort(descending=True, stable=True).indices
    falling = torch.empty_like(apart).scatter_(
        0, order, -torch.arange(order.shape[0], device=order.device, dtype=torch.float64)
    )
    kept = _nms(near + apart[:, None], falling, iou_threshold)
    every = torch.arange(batch * classes, device=boxes.device)
    groups = (group[kept][:, None] == every).long()
    rank = (groups.cumsum(0) * groups).sum(1)
    mask = torch.zeros(batch * classes * count, dtype=torch.bool, device=boxes.device)
    mask = mask.index_put((candidates[kept],), rank <= max_num)
    return mask.view(batch, classes, count).nonzero()


def _nms(boxes: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    """torchvision's ``nms`` where it may keep fewer than two boxes.

    torch.export takes for granted that it keeps two, and its files fail on the images where it
    does not; so two more are given, far from all others, and taken off the end of what is kept.
    """
    far = torch.cat((boxes.new_zeros(1), boxes.flatten())).amax() + 1
    corner = torch.stack((far, far + 2))[:, None]
    spare = torch.cat((corner, corner, corner + 1, corner + 1), dim=1)
    last = torch.cat((scores.new_zeros(1), scores)).amin() - scores.new_tensor([1.0, 2.0])
    kept = torchvision.ops.nms(torch.cat((boxes, spare)), torch.cat((scores, last)), iou_threshold)
    return kept[:-2]


@torch.library.custom_op('lighthead::suppress', mutates_args=())
def suppress_op(
    boxes: Tensor, scores: Tensor, max_num: int, iou_threshold: float, score_thr: Tensor
) -> Tensor:
    """:func:`suppress` as one operator, for the ONNX exporter; ``score_thr`` has shape (1,)."""
    return suppress(boxes, scores, max_num, iou_threshold, score_thr)


@suppress_op.register_fake
def _(
    boxes: Tensor, scores: Tensor, max_num: int, iou_threshold: float, score_thr: Tensor
) -> Tensor:
    return boxes.new_empty((torch.library.get_ctx().new_dynamic_size(), 3), dtype=torch.int64)
