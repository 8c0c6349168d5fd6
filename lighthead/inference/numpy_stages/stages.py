"""From the dense maps of one image to its detections; in torch: :mod:`lighthead.deploy.stages`."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from lighthead.deploy.box_codings import BoxCodings
from lighthead.deploy.inference_settings import InferenceSettings
from lighthead.inference.numpy_stages.candidates import (
    best_first,
    candidates,
    decode_deltas,
    sigmoid,
    softmax,
)
from lighthead.inference.numpy_stages.ps_roi_align import ps_roi_align
from lighthead.inference.runtimes.backend import RawDetections
from lighthead.inference.suppression import greedy_suppression

Head = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
"""Pooled RoIs (K, bins * C) to logits (K, C or C + 1) and deltas (K, 4 or 4 * C) of C classes."""


class Maps(NamedTuple):
    """What the convolutions give for one image, float32.

    ``scores`` and ``boxes`` are the RPN's, of every level: logits (A, H, W), and (A * V, H, W)
    with V numbers per anchor; ``thin`` is (bins * C, H, W).
    """

    scores: list[np.ndarray]
    boxes: list[np.ndarray]
    thin: np.ndarray


def detect(
    maps: Maps, size: tuple[int, int], settings: InferenceSettings, codings: BoxCodings, head: Head
) -> RawDetections:
    """Detect in an image of ``size`` (height, width) without padding."""
    boxes, scores = candidates(maps.scores, maps.boxes, size, settings, codings)
    kept = greedy_suppression(boxes, settings.rpn_iou, settings.max_proposals)
    rois, scores = boxes[kept], scores[kept]
    if not len(rois):
        return RawDetections(rois, scores, np.zeros(0, np.int64))
    logits, deltas = head(ps_roi_align(maps.thin, rois, settings))
    per_roi = 1 if settings.class_agnostic else settings.num_classes
    deltas = deltas.reshape(len(rois), per_roi, 4)
    boxes = decode_deltas(rois[:, None], deltas, codings.second, size)
    return final_detections(class_scores(logits, scores, codings.rpn_weight), boxes, settings)


def class_scores(
    logits: np.ndarray, rpn_scores: np.ndarray, rpn_weight: float | None
) -> np.ndarray:
    """Class scores (K, C): softmax without the background, or the mean with the RPN's scores."""
    if rpn_weight is None:
        return softmax(logits)[:, :-1]
    return sigmoid(logits) ** (1 - rpn_weight) * rpn_scores[:, None] ** rpn_weight


def final_detections(
    scores: np.ndarray, boxes: np.ndarray, settings: InferenceSettings
) -> RawDetections:
    """The detections among scores (K, C) and boxes (K, 1 or C, 4), suppressed by class."""
    roi, labels = (scores > settings.score_thr).nonzero()
    values = scores[roi, labels]
    order = best_first(values)
    roi, labels, values = roi[order], labels[order], values[order]
    chosen = boxes[roi, 0 if settings.class_agnostic else labels]
    apart = np.ceil(np.ptp(chosen) if len(chosen) else 0.0) + 1.0
    shifted = chosen.astype(np.float64) + (labels * apart)[:, None]  # no class overlaps another
    kept = greedy_suppression(shifted, settings.final_iou, settings.max_detections)
    return RawDetections(chosen[kept], values[kept], labels[kept])
