"""The detections of overlapping tiles and of the whole image as those of one image.

Two detections of one class are the same object where two regions (tiles, or a tile and the whole
image) overlap, and what each sees there coincides: their boxes, clipped to the regions' common
part, have an intersection over union above the threshold. Then

- a box that no border of its tile cuts off is kept in place of one that is cut off, and of two
  such boxes the one with the higher score;
- two boxes that are both cut off become the box around both, with the higher score.

Suppression by the overlap of whole boxes alone, as of slicers that know no borders, keeps the
halves of an object that two tiles see, because they overlap little.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from lighthead.inference.preprocess import Preprocess
from lighthead.inference.runtimes.backend import RawDetections
from lighthead.inference.tiles import Part

CUT_MARGIN = 0.02
"""A box that comes as close to a border of its tile, as a share of the tile's side, is cut off."""
INSIDE = 0.7
"""Of a box that is cut off, this share within a whole one of the same class is part of that."""


class Found(NamedTuple):
    """Detections of one or several regions, in the image's frame.

    Attributes:
        boxes: float32 (N, 4).
        scores, labels: (N,).
        regions: float32 (N, 4), where each detection was looked for.
    """

    boxes: np.ndarray
    scores: np.ndarray
    labels: np.ndarray
    regions: np.ndarray

    def above(self, score_thr: float) -> 'Found':
        """Those whose score is at least ``score_thr``, and the best one."""
        best = self.scores.max(initial=0.0)
        chosen = self.scores >= min(np.float32(score_thr), best)
        return Found(*(values[chosen] for values in self))


def put_together(
    parts: Iterable[tuple[Part, RawDetections | None]], preprocess: Preprocess
) -> Found:
    """What was detected in each part, in the image's frame."""
    found = [_in_image(part, raw, preprocess) for part, raw in parts if raw is not None]
    return Found(*map(np.concatenate, zip(*found, strict=True)))


def _in_image(part: Part, raw: RawDetections, preprocess: Preprocess) -> Found:
    offset = np.array(part.region[:2] * 2, np.float32)
    boxes = preprocess.restore(raw.boxes, part.region.size) + offset
    regions = np.broadcast_to(np.array(part.region, np.float32), boxes.shape)
    return Found(boxes, raw.scores, raw.labels, regions)


def merge(found: Found, size: tuple[int, int], iou_thr: float) -> Found:
    """Each object once.

    Args:
        found: Of all regions of an image of ``size`` (height, width); within a region, what
            overlaps was suppressed before.
        iou_thr: Intersection over union in the common part of two regions, above which two
            boxes are one object.
    """
    is_cut = cut_off(found, size)
    kept = _Kept(found, iou_thr)
    for index in np.lexsort((-found.scores, is_cut)):
        kept.add(index, bool(is_cut[index]))
    return kept.found()


def cut_off(found: Found, size: tuple[int, int]) -> np.ndarray:
    """Whether each box ends at a border of its region that is not the image's: bool (N,)."""
    regions = found.regions
    margin = CUT_MARGIN * np.tile(regions[:, 2:] - regions[:, :2], 2)
    near = np.abs(found.boxes - regions) <= margin
    inner = regions != np.array([0, 0, size[1], size[0]], np.float32)
    return (near & inner).any(axis=1)


class _Kept:
    """The objects so far. Whole boxes are added before those that are cut off."""

    def __init__(self, found: Found, iou_thr: float) -> None:
        self._found, self._iou_thr = found, iou_thr
        self._boxes, self._regions = found.boxes.copy(), found.regions.copy()
        self._scores = found.scores.copy()
        self._order: list[int] = []
        self._cut: list[bool] = []

    def add(self, index: int, is_cut: bool) -> None:
        """Keep a detection, or join it to one that is there."""
        kept = np.array(self._order, np.int64)
        kept_cut = np.array(self._cut, bool)
        labels = self._found.labels
        other = (labels[kept] == labels[index]) & (self._regions[kept] != self._regions[index]).any(
            axis=1
        )
        candidates = np.flatnonzero(other & (_shared(self._boxes[kept], self._boxes[index]) > 0))
        same = self._coincide(kept[candidates], index)
        if is_cut:
            inside = self._inside(kept[candidates], index) & ~kept_cut[candidates]
            same = np.maximum(same, inside)
        matches = candidates[same > 0]
        if not len(matches):
            self._order.append(index)
            self._cut.append(is_cut)
        elif kept_cut[matches].all():  # only a box that is cut off comes here
            self._join(kept[matches[0]], index)

    def _coincide(self, kept: np.ndarray, index: int) -> np.ndarray:
        """Whether boxes agree in the common part of their regions: bool (K,)."""
        common = _clip(self._regions[kept], self._regions[index])
        first = _clip(self._boxes[kept], common)
        second = _clip(np.broadcast_to(self._boxes[index], common.shape), common)
        shared = _area(_clip(first, second))
        union = _area(first) + _area(second) - shared
        return shared > self._iou_thr * np.maximum(union, 1e-9)

    def _inside(self, kept: np.ndarray, index: int) -> np.ndarray:
        box = self._boxes[index]
        return _shared(self._boxes[kept], box) >= INSIDE * _area(box[None])[0]

    def _join(self, kept: int, index: int) -> None:
        for values in (self._boxes, self._regions):
            values[kept, :2] = np.minimum(values[kept, :2], values[index, :2])
            values[kept, 2:] = np.maximum(values[kept, 2:], values[index, 2:])

    def found(self) -> Found:
        """What is left."""
        order = np.array(self._order, np.int64)
        labels = self._found.labels[order]
        return Found(self._boxes[order], self._scores[order], labels, self._regions[order])


def _clip(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """The common parts of boxes (N, 4) and others, which broadcast; sides may be negative."""
    corners = np.maximum(boxes[..., :2], others[..., :2])
    return np.concatenate([corners, np.minimum(boxes[..., 2:], others[..., 2:])], axis=-1)


def _area(boxes: np.ndarray) -> np.ndarray:
    return np.clip(boxes[..., 2:] - boxes[..., :2], 0, None).prod(axis=-1)


def _shared(boxes: np.ndarray, box: np.ndarray) -> np.ndarray:
    return _area(_clip(boxes, box))
