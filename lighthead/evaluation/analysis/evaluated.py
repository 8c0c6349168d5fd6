"""The ground truth of a data set and what a detector found in it, evaluated."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

from mmdet.datasets.api_wrappers import COCOeval

from lighthead.data.clean_coco import CleanCOCO
from lighthead.errors import UserError
from lighthead.evaluation.coco_eval import evaluate_boxes
from lighthead.files import read_regular_file

SIZES = (0, 16, 32, 64, 96, 192, math.inf)
"""Bounds of object sizes, square root of the area in pixels, for AP over size."""
SIZE_RANGES = tuple((low**2, min(high**2, 1e10)) for low, high in pairwise(SIZES))


@dataclass
class Evaluated:
    """Detections and their ground truth.

    Attributes:
        coco: The ground truth, cleaned as it is for training.
        detections: COCO results.
        classes: Names of the evaluated classes that the ground truth has.
        img_dir: Folder of the images; None where they are not at hand.
        name: What the detections are called on a page.
    """

    coco: CleanCOCO
    detections: list[dict]
    classes: list[str]
    img_dir: Path | None
    name: str

    @cached_property
    def category_ids(self) -> list[int]:
        """Category id of each class."""
        return [i for i in self.coco.category_ids(self.classes) if i is not None]

    @cached_property
    def evaluation(self) -> COCOeval:
        """pycocotools' evaluation, with the ranges of :data:`SIZES` after COCO's own."""
        return evaluate_boxes(self.coco, self.detections, self.category_ids, more_areas=SIZE_RANGES)

    def objects(self, image_id: int) -> list[dict]:
        """Annotations of the evaluated classes in an image, crowds among them."""
        known = set(self.category_ids)
        return [a for a in self.coco.img_ann_map.get(image_id, []) if a['category_id'] in known]


def read_evaluated(
    predictions: Path,
    ann_file: Path,
    img_dir: Path | None = None,
    classes: Sequence[str] | None = None,
    name: str | None = None,
) -> Evaluated:
    """Read COCO results and the annotations that they belong to.

    Args:
        classes: That the detector knows; None takes those of the annotations.

    Raises:
        UserError: a file is missing or malformed, or the two do not belong together.
    """
    coco = CleanCOCO(ann_file)
    if not coco.imgs:
        raise UserError(f'{ann_file} lists no images: there is nothing to report on.')
    names = [category['name'] for category in coco.cats.values()]
    chosen = names if classes is None else [name for name in classes if name in set(names)]
    if not chosen:
        raise UserError(f'{ann_file} has no class that the detector knows: name other annotations.')
    detections = read_detections(predictions)
    _check(detections, coco, predictions, ann_file)
    return Evaluated(coco, detections, chosen, img_dir, name or predictions.stem)


def read_detections(path: Path) -> list[dict]:
    """COCO results from a file.

    Raises:
        UserError: it is missing or no list of them.
    """
    try:
        content = json.loads(read_regular_file(path))
    except OSError as error:
        raise UserError(f'{path} cannot be read ({error.strerror or error}).') from error
    except (ValueError, RecursionError) as error:
        raise UserError(f'{path} is not valid JSON ({error}).') from error
    if not isinstance(content, list):
        raise UserError(
            f'{path} is no list of COCO results, as `lighthead test --out FILE` writes it.'
        )
    wrong = next((number for number, entry in enumerate(content) if not _is_result(entry)), None)
    if wrong is not None:
        raise UserError(
            f'{path}: entry {wrong} is no COCO result with image_id, category_id, bbox '
            '(x, y, width, height) and score.'
        )
    return content


def _is_result(entry: Any) -> bool:
    if not isinstance(entry, dict):
        return False
    box = entry.get('bbox')
    numbers = [entry.get('score'), *(box if isinstance(box, list) else [])]
    ids = (entry.get('image_id'), entry.get('category_id'))
    return (
        len(numbers) == 5
        and all(isinstance(n, int | float) and math.isfinite(n) for n in numbers)
        and min(numbers[3:]) >= 0
        and all(isinstance(i, int | str) for i in ids)
    )


def _check(detections: Sequence[dict], coco: CleanCOCO, predictions: Path, ann_file: Path) -> None:
    for field, known in (('image_id', coco.imgs), ('category_id', coco.cats)):
        strange = {entry[field] for entry in detections} - set(known)
        if strange:
            raise UserError(
                f'{predictions} has {len(strange)} {field}s that {ann_file} lacks (such as '
                f'{next(iter(strange))!r}): name the annotations that it was made for.'
            )
