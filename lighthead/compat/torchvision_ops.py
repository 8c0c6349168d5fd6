"""The operators of ``mmcv._ext`` that detectors need, on torchvision's.

Every function has the calling form of the compiled extension (see the Python
files of ``mmcv/ops``): results go into tensors that the caller passes, and
what a kernel of mmcv needs as scratch is ignored. Half precision is computed
in float32. One operator differs from the compiled one: ``roi_pool`` rounds its
boxes to the feature grid, as Fast R-CNN and torchvision do, where mmcv's takes
fractions of cells (no config of mmdet uses it).
"""

import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor

from lighthead.compat.operator_table import full, needs_compiled, operator


@operator
def get_compiler_version() -> str:
    return 'none, operators of torchvision'


@operator
def get_compiling_cuda_version() -> str:
    return 'none, operators of torchvision'


@operator
def nms(boxes: Tensor, scores: Tensor, iou_threshold: float, offset: int) -> Tensor:
    """Indices of the kept boxes (N, 4), by falling score."""
    refuse_offset('nms', offset)
    return torchvision.ops.nms(*full(boxes, scores), iou_threshold)


@operator
def softnms(
    boxes: Tensor,
    scores: Tensor,
    dets: Tensor,
    iou_threshold: float,
    sigma: float,
    min_score: float,
    method: int,
    offset: int,
) -> Tensor:
    """Soft-NMS (arXiv 1704.04503): fill ``dets`` (N, 5), return the K kept indices.

    ``method``: 0 plain, 1 linear, 2 Gaussian. After each choice the boxes whose
    decayed score is under ``min_score`` leave.
    """
    refuse_offset('softnms', offset)
    boxes, scores = full(boxes, scores)
    rest, kept = torch.arange(len(boxes)), []
    while len(rest):
        best = scores[rest].argmax()
        top = rest[best]
        kept.append(top)
        rest = torch.cat([rest[:best], rest[best + 1 :]])
        iou = torchvision.ops.box_iou(boxes[top, None], boxes[rest])[0].nan_to_num(0)
        if method == 2:
            scores[rest] *= torch.exp(-iou.square() / sigma)
        else:
            decayed = scores[rest] * (1 - iou if method == 1 else 0)
            scores[rest] = torch.where(iou >= iou_threshold, decayed, scores[rest])
        rest = rest[scores[rest] >= min_score]
    keep = torch.stack(kept) if kept else rest
    dets[: len(keep)] = torch.cat([boxes[keep], scores[keep, None]], dim=1)
    return keep


@operator
def nms_match(dets: Tensor, iou_threshold: float) -> list[list[int]]:
    """Groups of indices into ``dets`` (N, 5): a kept box, then those that it suppresses."""
    boxes, scores = full(dets[:, :4], dets[:, 4])
    rest, groups = scores.argsort(descending=True, stable=True), []
    while len(rest):
        iou = torchvision.ops.box_iou(boxes[rest[:1]], boxes[rest])[0]
        member = iou >= iou_threshold
        member[0] = True
        groups.append(rest[member].tolist())
        rest = rest[~member]
    return groups


def refuse_offset(name: str, offset: int) -> None:
    """Refuse the widths x2 - x1 + 1 of mmdet 1.x, which torchvision does not have."""
    if offset != 0:
        raise needs_compiled(f'{name} with offset={offset}')


@operator
def roi_align_forward(
    features: Tensor, rois: Tensor, output: Tensor, argmax_y: Tensor, argmax_x: Tensor, **form: int
) -> None:
    """Fill ``output`` (K, C, height, width) from maps (B, C, H, W) and RoIs (K, 5)."""
    if form['pool_mode'] != 1:
        raise needs_compiled("roi_align with pool_mode='max'")
    size = (form['aligned_height'], form['aligned_width'])
    sampling = (form['sampling_ratio'], form['aligned'])
    forward = torch.ops.torchvision.roi_align
    output.copy_(forward(*full(features, rois), form['spatial_scale'], *size, *sampling))


@operator
def roi_align_backward(
    grad_output: Tensor,
    rois: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    grad_input: Tensor,
    **form: int,
) -> None:
    """Fill ``grad_input`` (B, C, H, W)."""
    size = (form['aligned_height'], form['aligned_width'], *grad_input.shape)
    sampling = (form['sampling_ratio'], form['aligned'])
    backward = torch.ops.torchvision._roi_align_backward
    grad_input.copy_(backward(*full(grad_output, rois), form['spatial_scale'], *size, *sampling))


@operator
def roi_pool_forward(
    features: Tensor, rois: Tensor, output: Tensor, argmax: Tensor, **form: int
) -> None:
    """Fill ``output`` and ``argmax`` (K, C, height, width)."""
    pooling = (form['spatial_scale'], form['pooled_height'], form['pooled_width'])
    pooled, where = torch.ops.torchvision.roi_pool(*full(features, rois), *pooling)
    output.copy_(pooled)
    argmax.copy_(where)


@operator
def roi_pool_backward(
    grad_output: Tensor, rois: Tensor, argmax: Tensor, grad_input: Tensor, **form: int
) -> None:
    """Fill ``grad_input`` (B, C, H, W)."""
    pooling = (form['spatial_scale'], form['pooled_height'], form['pooled_width'])
    grad_output, rois = full(grad_output, rois)
    backward = torch.ops.torchvision._roi_pool_backward
    grad_input.copy_(backward(grad_output, rois, argmax, *pooling, *grad_input.shape))


def class_weights(target: Tensor, weight: Tensor, num_classes: int) -> Tensor | float:
    """The factor of each row (N, 1); rows of the background (target C) keep 1."""
    if weight.numel() == 0:
        return 1.0
    is_class = (target >= 0) & (target < num_classes)
    return torch.where(is_class, weight[target.clamp(0, num_classes - 1)], 1)[:, None]


def is_target(logits: Tensor, target: Tensor) -> Tensor:
    """Truth (N, C): the class of the column is the row's target."""
    return target[:, None] == torch.arange(logits.size(1), device=target.device)


@operator
def sigmoid_focal_loss_forward(
    logits: Tensor, target: Tensor, weight: Tensor, output: Tensor, gamma: float, alpha: float
) -> None:
    """Focal loss (arXiv 1708.02002): fill ``output`` (N, C) from logits and classes (N,)."""
    positive = is_target(logits, target)
    (logits,) = full(logits)
    loss = torchvision.ops.sigmoid_focal_loss(logits, positive.to(logits), alpha, gamma)
    output.copy_(loss * class_weights(target, weight, logits.size(1)))


@operator
def sigmoid_focal_loss_backward(
    logits: Tensor, target: Tensor, weight: Tensor, grad_input: Tensor, gamma: float, alpha: float
) -> None:
    """Fill ``grad_input`` (N, C) with the derivative of each element of the loss.

    With q the probability given to the truth of an element,
    d/dlogit of -(1 - q)^gamma log q is +-(1 - q)^gamma (gamma q log q + q - 1).
    """
    positive = is_target(logits, target)
    (logits,) = full(logits)
    toward_truth = torch.where(positive, logits, -logits)
    log_q, q, miss = F.logsigmoid(toward_truth), toward_truth.sigmoid(), (-toward_truth).sigmoid()
    slope = miss.pow(gamma) * (gamma * q * log_q - miss)
    signed = torch.where(positive, alpha * slope, (alpha - 1) * slope)
    grad_input.copy_(signed * class_weights(target, weight, logits.size(1)))
