"""Kinds of errors, and the AP that each of them costs.

TIDE: A General Toolbox for Identifying Object Detection Errors (arXiv 2008.08115), section 2.
The figures equal those of the authors' package, tidecv 1.0.1, on the same boxes, ties of scores
included (tests/evaluation/analysis/test_tide.py): the most detections of an image, the order
of its detections and the 101 points of its AP are as there.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from lighthead.evaluation.analysis.evaluated import Evaluated
from lighthead.evaluation.analysis.outcomes import box_overlaps

KINDS = {
    'cls': 'right place, wrong class',
    'loc': 'right class, badly placed box (IoU of 0.1 to 0.5)',
    'both': 'wrong class and badly placed box',
    'dupe': 'an object that was found already',
    'bkg': 'background taken for an object',
    'miss': 'an object that nothing points at',
}
SPECIAL = ('false positives', 'false negatives')
FOREGROUND, BACKGROUND = 0.5, 0.1
"""IoU from which a box is right, and up to which it is background."""
MAX_DETS = 100
"""Detections of an image, of all classes."""

Point = tuple[object, float, bool]
"""A class, a score, and whether it counts as found."""


@dataclass
class Error:
    """A detection that is wrong, or an object that is missed.

    Attributes:
        kind: One of :data:`KINDS`.
        point: The detection as it counts now; None for a missed object or an ignored detection.
        fixed: The detection as it would count, were the error mended; None: not at all.
        missed: Class of a missed object, which would not count.
    """

    kind: str
    point: Point | None = None
    fixed: Point | None = None
    missed: object = None


@dataclass
class ErrorCosts:
    """AP in percent at an IoU of 0.5, and what each kind of error costs of it.

    Attributes:
        costs: AP that mending a kind alone brings, for :data:`KINDS` and :data:`SPECIAL`.
        counts: How many errors of each kind there are.
    """

    ap: float
    costs: dict[str, float]
    counts: dict[str, int]


@dataclass
class Ledger:
    """The points and errors of all images so far."""

    right: list[Point] = field(default_factory=list)
    every: list[Point] = field(default_factory=list)
    errors: list[Error] = field(default_factory=list)
    objects: dict = field(default_factory=lambda: defaultdict(int))
    unfound: dict = field(default_factory=lambda: defaultdict(int))


def error_costs(evaluated: Evaluated) -> ErrorCosts:
    """The kinds of errors of all detections."""
    by_image = defaultdict(list)
    known = set(evaluated.category_ids)
    for detection in evaluated.detections:
        if detection['category_id'] in known:
            by_image[detection['image_id']].append(detection)
    ledger = Ledger()
    for image_id in evaluated.coco.imgs:
        _add_image(ledger, evaluated.objects(image_id), by_image[image_id])
    ap = mean_ap(ledger.every, ledger.objects)
    costs = {kind: max(_mended(ledger, kind) - ap, 0) for kind in KINDS}
    wrong = [error.point for error in ledger.errors if error.point is not None]
    points = [(c, float(right), right) for c, _, right in [*wrong, *ledger.right]]
    costs[SPECIAL[0]] = mean_ap(points, ledger.objects) - ap
    found = {c: count - ledger.unfound[c] for c, count in ledger.objects.items()}
    costs[SPECIAL[1]] = mean_ap([*wrong, *ledger.right], found) - ap
    counts = {kind: sum(error.kind == kind for error in ledger.errors) for kind in KINDS}
    return ErrorCosts(ap, costs, counts)


def _mended(ledger: Ledger, kind: str) -> float:
    """AP without the errors of one kind."""
    objects = dict(ledger.objects)
    for error in ledger.errors:
        if error.kind == kind == 'miss':
            objects[error.missed] -= 1
    points = [error.fixed if error.kind == kind else error.point for error in ledger.errors]
    return mean_ap([*(p for p in points if p is not None), *ledger.right], objects)


def _add_image(ledger: Ledger, annotations: Sequence[dict], detections: Sequence[dict]) -> None:
    objects = [a for a in annotations if not a['iscrowd']]
    crowds = [a for a in annotations if a['iscrowd']]
    detections = sorted(detections, key=lambda d: -d['score'])[:MAX_DETS]
    for entry in objects:
        ledger.objects[entry['category_id']] += 1
    overlaps = box_overlaps(detections, objects)
    same = np.array([[d['category_id'] == o['category_id'] for o in objects] for d in detections])
    same = same.reshape(overlaps.shape)
    right, taken = _match(overlaps * same)
    ignored = _in_crowds(detections, crowds) & ~right
    for detection, is_right, is_ignored in zip(detections, right, ignored):
        point = (detection['category_id'], detection['score'], bool(is_right))
        if not is_ignored:
            ledger.every.append(point)
            ledger.objects[point[0]] += 0  # a class that has detections alone counts too
        if is_right:
            ledger.right.append(point)
    found = set(np.flatnonzero(taken).tolist())
    wrong = np.flatnonzero(~right).tolist()
    errors, pointed_at = _wrong_detections(wrong, detections, objects, overlaps, same, taken)
    for number, error in zip(wrong, errors):
        if not ignored[number]:
            error.point = (detections[number]['category_id'], detections[number]['score'], False)
    ledger.errors += errors
    for number, entry in enumerate(objects):
        if number not in found:
            ledger.unfound[entry['category_id']] += 1
            if number not in pointed_at:
                ledger.errors.append(Error('miss', missed=entry['category_id']))


def _match(overlaps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Whether each detection is right and each object found, given IoU within a class."""
    right, taken = (np.zeros(count, bool) for count in overlaps.shape)
    free = overlaps.copy()
    for number in range(len(right) if free.shape[1] else 0):
        best = int(free[number].argmax())
        if free[number, best] >= FOREGROUND:
            right[number] = taken[best] = True
            free[:, best] = 0
    return right, taken


def _in_crowds(detections: Sequence[dict], crowds: Sequence[dict]) -> np.ndarray:
    inside = box_overlaps(detections, crowds, crowds=True) > FOREGROUND
    same = [[d['category_id'] == c['category_id'] for c in crowds] for d in detections]
    return (inside & np.array(same, bool).reshape(inside.shape)).any(1)


def _wrong_detections(
    wrong: Iterable[int],
    detections: Sequence[dict],
    objects: Sequence[dict],
    overlaps: np.ndarray,
    same: np.ndarray,
    taken: np.ndarray,
) -> tuple[list[Error], set[int]]:
    """An error for each wrong detection, and the objects that mending one of them would find.

    An object is found by the first that points at it, the one of the highest score.
    """
    errors, pointed_at = [], set()
    for number in wrong:
        kind, target = _kind(overlaps[number], same[number], taken)
        error = Error(kind)
        if target is not None and not taken[target] and target not in pointed_at:
            pointed_at.add(target)
            label = (objects[target] if kind == 'cls' else detections[number])['category_id']
            error.fixed = (label, detections[number]['score'], True)
        errors.append(error)
    return errors, pointed_at


def _kind(overlaps: np.ndarray, same: np.ndarray, taken: np.ndarray) -> tuple[str, int | None]:
    """What is wrong with a detection, and the object that it was meant for."""
    if not overlaps.size:
        return 'bkg', None
    own, other = overlaps * same, overlaps * ~same
    if BACKGROUND <= own.max() <= FOREGROUND:
        return 'loc', int(own.argmax())
    if other.max() >= FOREGROUND:
        return 'cls', int(other.argmax())
    if (own * taken).max() >= FOREGROUND:
        return 'dupe', None
    return ('bkg' if overlaps.max() <= BACKGROUND else 'both'), None


def mean_ap(points: Iterable[Point], objects: Mapping) -> float:
    """Mean AP, in percent, of the classes that have points or objects."""
    by_class = defaultdict(list)
    for label, score, right in points:
        by_class[label].append((score, right))
    labels = [label for label, count in objects.items() if count or by_class[label]]
    values = [_ap(by_class[label], objects[label]) for label in labels]
    return sum(values) / len(values) if values else 0.0


def _ap(points: Sequence[tuple[float, bool]], objects: int) -> float:
    """AP of a class over 101 points of recall, in percent."""
    if not objects or not points:
        return 0.0
    scores, right = (np.array(column) for column in zip(*points))
    found = np.cumsum(right[np.argsort(-scores, kind='stable')])
    precision = found / np.arange(1, len(found) + 1)
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    places = np.searchsorted(found / objects, np.arange(101) / 100, side='left')
    return float(precision[places[places < len(precision)]].sum() / 101 * 100)
