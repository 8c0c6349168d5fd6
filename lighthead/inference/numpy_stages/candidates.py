"""The RPN's maps to candidates for proposals; in torch: :mod:`lighthead.deploy.proposals`."""

from collections.abc import Sequence

import numpy as np

from lighthead.deploy.box_codings import AnchorLevel, BoxCodings, DeltaCoding, DistanceCoding
from lighthead.deploy.inference_settings import InferenceSettings

MAX_LOG_RATIO = 4.135166556742356
"""-log(16 / 1000), mmdet's limit of a box's growth."""


def candidates(
    scores: Sequence[np.ndarray],
    boxes: Sequence[np.ndarray],
    size: tuple[int, int],
    settings: InferenceSettings,
    codings: BoxCodings,
) -> tuple[np.ndarray, np.ndarray]:
    """The best anchors of all levels of one image.

    Args:
        scores: Of every level, logits (A, H, W).
        boxes: Of every level, (A * V, H, W): V numbers per anchor.
        size: (height, width) of the image without padding.
        settings, codings: The detector's.

    Returns:
        Boxes (N, 4) and scores (N,), float32, best first.
    """
    levels = [
        level_candidates(logits, values, size, settings, codings, level)
        for logits, values, level in zip(scores, boxes, codings.levels, strict=True)
    ]
    all_boxes, all_scores = (np.concatenate(values) for values in zip(*levels, strict=True))
    order = best_first(all_scores)
    return all_boxes[order], all_scores[order]


def level_candidates(
    logits: np.ndarray,
    boxes: np.ndarray,
    size: tuple[int, int],
    settings: InferenceSettings,
    codings: BoxCodings,
    level: AnchorLevel,
) -> tuple[np.ndarray, np.ndarray]:
    """Boxes (n, 4) and scores (n,) of one level, best first."""
    anchors, _, width = logits.shape
    scores = sigmoid(logits.transpose(1, 2, 0).reshape(-1))
    index = best_first(scores)[: settings.nms_pre]
    index = index[scores[index] > settings.rpn_score_thr]
    row, column = np.divmod(index // anchors, width)
    places = np.stack((column, row), axis=1).astype(np.float32)
    shift = places * np.array(level.stride, np.float32)
    priors = np.array(level.anchors, np.float32)[index % anchors] + np.tile(shift, 2)
    values = boxes.reshape(anchors, -1, *boxes.shape[1:])[index % anchors, :, row, column]
    if isinstance(codings.rpn, DeltaCoding):
        decoded = decode_deltas(priors, values, codings.rpn, size)
    else:
        decoded = decode_distances(priors, values, codings.rpn, level.stride[0], size)
    large = (decoded[:, 2:] - decoded[:, :2] > settings.min_size).all(axis=1)
    return decoded[large], scores[index][large]


def decode_deltas(
    boxes: np.ndarray, deltas: np.ndarray, coding: DeltaCoding, size: tuple[int, int]
) -> np.ndarray:
    """Boxes (..., 4) moved and scaled by deltas (..., 4), inside ``size`` (height, width)."""
    deltas = deltas * np.array(coding.stds, np.float32) + np.array(coding.means, np.float32)
    low, high = boxes[..., :2], boxes[..., 2:]
    extent = high - low
    centre = (low + high) * np.float32(0.5) + extent * deltas[..., :2]
    growth = np.exp(deltas[..., 2:].clip(-MAX_LOG_RATIO, MAX_LOG_RATIO))
    half = extent * growth * np.float32(0.5)
    corners = np.concatenate((centre - half, centre + half), axis=-1)
    return clipped(corners, size) if coding.clip else corners


def decode_distances(
    anchors: np.ndarray,
    logits: np.ndarray,
    coding: DistanceCoding,
    stride: int,
    size: tuple[int, int],
) -> np.ndarray:
    """Boxes (n, 4) from the mean distances of distributions (n, 4 * (reg_max + 1))."""
    shares = softmax(logits.reshape(len(logits), 4, coding.reg_max + 1))
    sides = shares @ (np.arange(coding.reg_max + 1, dtype=np.float32) * np.float32(stride))
    centre = (anchors[:, :2] + anchors[:, 2:]) * np.float32(0.5)
    corners = np.concatenate((centre - sides[:, :2], centre + sides[:, 2:]), axis=1)
    return clipped(corners, size) if coding.clip else corners


def clipped(boxes: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Boxes (..., 4) inside an image of ``size`` (height, width)."""
    return boxes.clip(0, np.array([size[1], size[0]] * 2, np.float32))


def best_first(scores: np.ndarray) -> np.ndarray:
    """Indices of scores (N,), by (score descending, index ascending)."""
    return np.argsort(-scores, kind='stable')


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-x)), without overflow."""
    small = np.exp(-np.abs(logits))
    return np.where(logits >= 0, 1, small) / (1 + small)


def softmax(logits: np.ndarray) -> np.ndarray:
    """Over the last axis."""
    shares = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return shares / shares.sum(axis=-1, keepdims=True)
