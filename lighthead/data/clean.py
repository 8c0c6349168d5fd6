"""COCO annotations read safely, with boxes that nothing can learn from taken out.

Data set, metric and the check before training all read their JSON here, so
that a dirty box neither trains nor counts as missed. The COCO format is
described at https://cocodataset.org/#format-data.
"""

import contextlib
import gc
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeGuard

from lighthead.data.parsed_once import forget, handed_on, is_handing_on
from lighthead.errors import UserError

PARSED, CLEANED = 'parsed', 'cleaned'
"""What is handed on of a file; the latter takes the former's place."""
NUMBER = (int, float)
ROUNDING = 0.1
"""Pixels that a box may stick out of its image and still be left as it is: COCO's own
boxes do so by rounding, and their published figures are computed with them."""


@dataclass
class BoxReport:
    """What cleaning did with the boxes of one annotation file."""

    kept: int = 0
    crowd: int = 0
    clipped: int = 0
    not_numbers: int = 0
    no_area: int = 0
    outside: int = 0
    renumbered: bool = False

    @property
    def dropped(self) -> int:
        return self.not_numbers + self.no_area + self.outside

    def __str__(self) -> str:
        parts = [f'{self.kept} boxes']
        if self.crowd:
            parts.append(f'{self.crowd} of them crowds')
        if self.clipped:
            parts.append(f'{self.clipped} clipped to the image')
        reasons = {
            'NaN, infinite or not four numbers': self.not_numbers,
            'negative or no area': self.no_area,
            'outside the image': self.outside,
        }
        if self.dropped:
            why = ', '.join(f'{count} {reason}' for reason, count in reasons.items() if count)
            parts.append(f'{self.dropped} dropped ({why})')
        if self.renumbered:
            parts.append('annotation ids renumbered from 1 (pycocotools cannot match id 0)')
        return ', '.join(parts)


def load_coco_json(path: str | Path) -> dict:
    """Read a COCO annotation file.

    Returns:
        The file's content; ``images``, ``annotations`` and ``categories`` are
        lists of dicts (``annotations`` empty where the file has none). It is
        shared inside :func:`lighthead.data.parsed_once.parsed_once`.

    Raises:
        UserError: The file is missing, broken, or not in COCO format.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f'The annotation file {path} does not exist: check the path.')
    return handed_on(path, PARSED, lambda: _parse(path))


def load_clean_boxes(path: str | Path, content: Mapping | None = None) -> tuple[dict, BoxReport]:
    """Read a COCO annotation file, unless ``content`` is its content, and clean it.

    See :func:`clean_boxes`.
    """
    path = Path(path)
    cleaned = handed_on(
        path, CLEANED, lambda: clean_boxes(load_coco_json(path) if content is None else content)
    )
    forget(path, PARSED)
    return cleaned


def _parse(path: Path) -> dict:
    hook = _without_segmentation if is_handing_on() else None
    try:
        with _no_collection():
            content = json.loads(path.read_bytes(), object_hook=hook)
    except (ValueError, RecursionError) as error:
        raise UserError(f'{path} is not valid JSON ({error}): write it again.') from error
    if not isinstance(content, dict):
        raise UserError(
            f'{path} is not in COCO format: it holds a {type(content).__name__}, '
            'not an object with "images", "annotations" and "categories".'
        )
    content.setdefault('annotations', [])
    for key in ('images', 'annotations', 'categories'):
        entries = content.get(key)
        if not isinstance(entries, list) or not all(isinstance(e, dict) for e in entries):
            raise UserError(f'{path} is not in COCO format: "{key}" is not a list of objects.')
    return content


def _without_segmentation(node: dict) -> dict:
    node.pop('segmentation', None)
    return node


@contextlib.contextmanager
def _no_collection() -> Iterator[None]:
    """Pause garbage collection: millions of new objects, none of them garbage."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def clean_box(
    box: object, width: float | None, height: float | None
) -> tuple[list[float] | None, str]:
    """Clean one box (x, y, w, h) in pixels of its image.

    Returns:
        The box and ``'kept'`` or ``'clipped'``; or None and the field of
        :class:`BoxReport` that counts why it was dropped.
    """
    if not isinstance(box, (list, tuple)) or len(box) != 4:
        return None, 'not_numbers'
    if not all(map(is_finite, box)):
        return None, 'not_numbers'
    x, y, w, h = box
    if w <= 0 or h <= 0:
        return None, 'no_area'
    if not width or not height:
        return list(box), 'kept'
    if x >= width or y >= height or x + w <= 0 or y + h <= 0:
        return None, 'outside'
    inside = min(x, y) >= -ROUNDING and x + w <= width + ROUNDING and y + h <= height + ROUNDING
    if inside:
        return list(box), 'kept'
    left, top = max(x, 0), max(y, 0)
    w, h = min(x + w, width) - left, min(y + h, height) - top
    if w < 1 or h < 1:
        return None, 'outside'
    return [left, top, w, h], 'clipped'


def clean_boxes(content: Mapping) -> tuple[dict, BoxReport]:
    """Take unusable boxes out of COCO content and clip the rest to their images.

    Crowd boxes stay crowds. Segmentations, which nothing here uses and which
    are most of COCO's bytes, are left out. ``area`` is filled in where it is missing or
    useless, and never exceeds a clipped box.

    Returns:
        A copy with its own annotations, and the report. The input is unchanged.
    """
    sizes = {
        image.get('id'): (image.get('width'), image.get('height')) for image in content['images']
    }
    with _no_collection():
        annotations, report = _clean_all(content['annotations'], sizes)
    if any(not annotation.get('id') for annotation in annotations):
        report.renumbered = True
        for number, annotation in enumerate(annotations, start=1):
            annotation['id'] = number
    return {**content, 'annotations': annotations}, report


def _clean_all(
    dirty: Sequence[Mapping], sizes: Mapping[object, tuple]
) -> tuple[list[dict], BoxReport]:
    report = BoxReport()
    annotations = []
    for annotation in dirty:
        size = sizes.get(annotation.get('image_id'), (None, None))
        box, verdict = clean_box(annotation.get('bbox'), *size)
        if verdict != 'kept':
            setattr(report, verdict, getattr(report, verdict) + 1)
        if box is None:
            continue
        annotation = {**annotation, 'bbox': box, 'iscrowd': _crowd(annotation.get('iscrowd'))}
        annotation.pop('segmentation', None)
        annotation['area'] = _usable_area(annotation.get('area'), box, verdict == 'clipped')
        report.crowd += annotation['iscrowd']
        annotations.append(annotation)
    report.kept = len(annotations)
    return annotations, report


def _crowd(value: object) -> int:
    """1 for the values that mean a crowd, 0 for all others."""
    return int(value == '1' or (is_finite(value) and value != 0))


def is_finite(value: object) -> TypeGuard[float]:
    """Whether a value from a JSON file is a number that fits into a float."""
    try:
        return isinstance(value, NUMBER) and math.isfinite(value)
    except OverflowError:  # a whole number with hundreds of digits
        return False


def _usable_area(area: object, box: Sequence[float], clipped: bool) -> float:
    """The annotated area where it makes sense, else the box's."""
    box_area = box[2] * box[3]
    if not is_finite(area) or area <= 0:
        return box_area
    return min(area, box_area) if clipped else area
