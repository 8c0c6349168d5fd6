"""Which detections are right, as pycocotools matches them, and what follows for a threshold."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from mmdet.datasets.api_wrappers import COCOeval

IOU = 0.5
"""Overlap at which a detection counts as right in curves, calibration and pictures."""


@dataclass
class ClassMatches:
    """The detections of one class in all images, by falling score, without ignored ones.

    Attributes:
        scores: (N,).
        correct: (N,) whether a detection has an object of its class to itself.
        objects: How many objects there are, without crowds.
    """

    scores: np.ndarray
    correct: np.ndarray
    objects: int

    @cached_property
    def ends(self) -> np.ndarray:
        """Index of the last detection of each distinct score: where a threshold can lie."""
        return np.flatnonzero(np.append(self.scores[1:] != self.scores[:-1], len(self) > 0))

    def __len__(self) -> int:
        return len(self.scores)

    def curves(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Thresholds, falling, with precision, recall and F1 of what reaches each of them."""
        ends, found = self.ends, np.cumsum(self.correct)[self.ends]
        precision = found / (ends + 1)
        recall = found / max(self.objects, 1)
        f1 = 2 * found / np.maximum(ends + 1 + self.objects, 1)
        return self.scores[ends], precision, recall, f1

    def best(self) -> 'Best':
        """The threshold with the highest F1, the highest of several."""
        thresholds, precision, recall, f1 = self.curves()
        if not len(f1) or not self.objects:
            return Best(None, 0.0, 0.0, 0.0)
        index = int(f1.argmax())
        values = (float(curve[index]) for curve in (precision, recall, f1))
        return Best(float(thresholds[index]), *values)


@dataclass(frozen=True)
class Best:
    """The threshold that maximises F1, and what it brings; None where nothing can be found."""

    threshold: float | None
    precision: float
    recall: float
    f1: float


def class_matches(evaluation: COCOeval) -> list[ClassMatches]:
    """The matches of each class at :data:`IOU`, of all sizes."""
    level = int(np.flatnonzero(np.isclose(evaluation.params.iouThrs, IOU))[0])
    images, areas = len(evaluation.params.imgIds), len(evaluation.params.areaRng)
    classes = []
    for number in range(len(evaluation.params.catIds)):
        start = number * areas * images  # evalImgs: class, area, image; the first area is 'all'
        found = [e for e in evaluation.evalImgs[start : start + images] if e is not None]
        scores = np.concatenate([[], *(e['dtScores'] for e in found)])
        correct = np.concatenate([[], *(e['dtMatches'][level] for e in found)]) > 0
        counted = np.concatenate([[], *(e['dtIgnore'][level] for e in found)]) == 0
        order = np.argsort(-scores[counted], kind='mergesort')
        objects = sum(int((e['gtIgnore'] == 0).sum()) for e in found)
        classes.append(ClassMatches(scores[counted][order], correct[counted][order], objects))
    return classes


def together(classes: list[ClassMatches]) -> ClassMatches:
    """The detections of all classes as if they were of one: for a threshold that serves all."""
    scores = np.concatenate([[], *(matches.scores for matches in classes)])
    correct = np.concatenate([[], *(matches.correct for matches in classes)]).astype(bool)
    order = np.argsort(-scores, kind='mergesort')
    return ClassMatches(scores[order], correct[order], sum(m.objects for m in classes))


def calibration(
    matches: ClassMatches, bins: int = 10
) -> tuple[list[tuple[float, float, int]], float]:
    """How far scores are the share of right detections.

    Returns:
        Mean score, share of right ones and count of each of ``bins`` ranges of score that has
        any; and the expected calibration error: the mean distance of the two, by count.
    """
    places = np.clip((matches.scores * bins).astype(int), 0, bins - 1)
    rows = []
    for place in range(bins):
        inside = places == place
        if inside.any():
            score, share = matches.scores[inside].mean(), matches.correct[inside].mean()
            rows.append((float(score), float(share), int(inside.sum())))
    distance = sum(abs(score - share) * count for score, share, count in rows)
    return rows, distance / max(len(matches), 1)
