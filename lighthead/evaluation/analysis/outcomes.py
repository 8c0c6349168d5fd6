"""What a detector does at one score threshold, image by image, and which classes it confuses."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from pycocotools import mask as mask_utils

from lighthead.evaluation.analysis.evaluated import Evaluated
from lighthead.evaluation.analysis.matches import IOU


@dataclass
class ImageOutcome:
    """Detections of an image at or above the threshold, and its objects; COCO's dicts.

    Attributes:
        pairs: A detection with the object that it lies on, of whatever class.
        false: Detections on no object.
        missed: Objects without a detection.
    """

    image: dict
    pairs: list[tuple[dict, dict]] = field(default_factory=list)
    false: list[dict] = field(default_factory=list)
    missed: list[dict] = field(default_factory=list)

    @cached_property
    def right(self) -> list[dict]:
        """Detections of the right class."""
        return [d for d, o in self.pairs if d['category_id'] == o['category_id']]

    @cached_property
    def confused(self) -> list[tuple[dict, dict]]:
        """Pairs of two classes."""
        return [(d, o) for d, o in self.pairs if d['category_id'] != o['category_id']]

    @property
    def errors(self) -> int:
        """False detections and missed objects; one of the wrong class is both."""
        return len(self.false) + len(self.missed) + 2 * len(self.confused)

    @property
    def f1(self) -> float:
        """Of this image alone; 1 where there is nothing and nothing was found."""
        total = 2 * len(self.right) + self.errors
        return 2 * len(self.right) / total if total else 1.0


def image_outcomes(evaluated: Evaluated, threshold: float) -> list[ImageOutcome]:
    """The outcome of every image; detections inside a crowd of their class are left out.

    Pairs are taken by falling IoU, from :data:`IOU` up, those of one class before the others.
    """
    by_image = defaultdict(list)
    known = set(evaluated.category_ids)
    for detection in evaluated.detections:
        if detection['score'] >= threshold and detection['category_id'] in known:
            by_image[detection['image_id']].append(detection)
    return [
        _outcome(image, by_image[image_id], evaluated.objects(image_id))
        for image_id, image in evaluated.coco.imgs.items()
    ]


def _outcome(image: dict, detections: list[dict], annotations: list[dict]) -> ImageOutcome:
    objects = [a for a in annotations if not a['iscrowd']]
    crowds = [a for a in annotations if a['iscrowd']]
    overlaps = box_overlaps(detections, objects)
    places = np.argwhere(overlaps >= IOU)
    same = [detections[d]['category_id'] == objects[o]['category_id'] for d, o in places]
    order = sorted(range(len(places)), key=lambda i: (-same[i], -overlaps[tuple(places[i])]))
    outcome, used, found = ImageOutcome(image), set(), set()
    for detection, target in places[order].tolist():
        if detection not in used and target not in found:
            used.add(detection)
            found.add(target)
            outcome.pairs.append((detections[detection], objects[target]))
    outcome.false = [
        d for i, d in enumerate(detections) if i not in used and not _in_crowd(d, crowds)
    ]
    outcome.missed = [o for i, o in enumerate(objects) if i not in found]
    return outcome


def _in_crowd(detection: dict, crowds: list[dict]) -> bool:
    own = [c for c in crowds if c['category_id'] == detection['category_id']]
    return bool((box_overlaps([detection], own, crowds=True) >= IOU).any())


def box_overlaps(
    detections: Sequence[dict], objects: Sequence[dict], crowds: bool = False
) -> np.ndarray:
    """IoU (D, G) of COCO's boxes; with crowds the share of the detection that lies inside."""
    if not detections or not objects:
        return np.zeros((len(detections), len(objects)))
    boxes = ([entry['bbox'] for entry in entries] for entries in (detections, objects))
    return mask_utils.iou(*boxes, [crowds] * len(objects))


def confusion_matrix(evaluated: Evaluated, outcomes: list[ImageOutcome]) -> np.ndarray:
    """Counts (C + 1, C + 1): rows are true classes, columns detected ones, background last."""
    place = {category_id: number for number, category_id in enumerate(evaluated.category_ids)}
    background = len(place)
    matrix = np.zeros((background + 1, background + 1), int)
    for outcome in outcomes:
        for detection, target in outcome.pairs:
            matrix[place[target['category_id']], place[detection['category_id']]] += 1
        for detection in outcome.false:
            matrix[background, place[detection['category_id']]] += 1
        for target in outcome.missed:
            matrix[place[target['category_id']], background] += 1
    return matrix


def worst_and_best(
    outcomes: list[ImageOutcome], count: int
) -> tuple[list[ImageOutcome], list[ImageOutcome]]:
    """Images with the lowest F1, most errors first; and with the highest, most objects first."""
    wrong = sorted((o for o in outcomes if o.errors), key=lambda o: (o.f1, -o.errors))[:count]
    right = [o for o in outcomes if o.right and o not in wrong]
    return wrong, sorted(right, key=lambda o: (-o.f1, -len(o.right)))[:count]
