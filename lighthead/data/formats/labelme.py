"""LabelMe: one JSON file per image, with shapes (https://github.com/wkentaro/labelme).

Every shape becomes its bounding box; a circle is given by its centre and a point on it.
"""

import json
import math
import os
from pathlib import Path
from typing import Any

from lighthead.data.formats.image_files import image_sizes, images_below
from lighthead.data.formats.labelled import ContentBuilder, LabelledSplit, split_of
from lighthead.errors import UserError


def label_files(root: Path) -> list[Path]:
    """JSON files below ``root``, sorted."""
    return sorted(path for path in root.rglob('*') if path.suffix.lower() == '.json')


def is_labelme(root: Path) -> bool:
    """Whether the first JSON file below ``root`` has LabelMe's shapes."""
    first = next(iter(label_files(root)), None)
    return first is not None and 'shapes' in _load(first)


def read_labelme(root: Path) -> dict[str, LabelledSplit]:
    """Read every split: folders named for one, else all as train.

    Raises:
        UserError: a file is malformed; the message names it.
    """
    labelled = {path: _load(path) for path in label_files(root)}
    labelled = {path: data for path, data in labelled.items() if 'shapes' in data}
    shapes = {
        path: [_read_shape(s, path) for s in data['shapes']] for path, data in labelled.items()
    }
    names = sorted({name for found in shapes.values() for name, _ in found})
    if not names:
        raise UserError(f'The LabelMe files in {root} hold no shape: there is nothing to learn.')
    images = {path.name: path for path in images_below(root)}
    splits: dict[str, list[Path]] = {}
    for path in labelled:
        folders = path.relative_to(root).parts[:-1]
        split = next((name for part in folders if (name := split_of(part))), 'train')
        splits.setdefault(split, []).append(path)
    return {
        name: _read_split(root, dict(enumerate(names)), members, labelled, shapes, images)
        for name, members in splits.items()
    }


def _read_split(
    root: Path,
    classes: dict[int, str],
    members: list[Path],
    labelled: dict[Path, dict],
    shapes: dict[Path, list],
    images: dict[str, Path],
) -> LabelledSplit:
    builder, notes = ContentBuilder(classes), []
    ids = {name: class_id for class_id, name in classes.items()}
    places = [_image_of(path, labelled[path], images) for path in members]
    missing = 0
    for path, place, size in zip(members, places, image_sizes(places), strict=True):
        if size is None:
            missing += 1
            continue
        image_id = builder.add_image(str(place.relative_to(root)), *size)
        for name, box in shapes[path]:
            builder.add_box(image_id, ids[name], box)
    if missing:
        notes.append(f'{missing} label files have no image, or one that cannot be read')
    return LabelledSplit(builder.content(), root, notes=notes)


def _image_of(path: Path, data: dict, images: dict[str, Path]) -> Path:
    """The image next to its label file, or anywhere in the data set under its name."""
    name = str(data.get('imagePath') or '').replace('\\', '/').rpartition('/')[2]
    next_to_it = path.parent / name
    return next_to_it if name and os.path.isfile(next_to_it) else images.get(name, path)


def _load(path: Path) -> dict:
    try:
        data = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise UserError(f'{path} is not valid JSON ({error}): write it again.') from error
    if not isinstance(data, dict):
        return {}
    if not isinstance(data.get('shapes', []), list):
        raise UserError(f'{path}: "shapes" is not a list.')
    return data


def _read_shape(shape: Any, path: Path) -> tuple[str, list[float]]:
    try:
        label, kind = str(shape['label']), shape.get('shape_type') or 'polygon'
        points = [(float(x), float(y)) for x, y in shape['points']]
        if not label or not points or not all(math.isfinite(v) for point in points for v in point):
            raise ValueError
        if kind == 'circle':
            (x, y), (edge_x, edge_y) = points
            radius = math.hypot(edge_x - x, edge_y - y)
            points = [(x - radius, y - radius), (x + radius, y + radius)]
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        raise UserError(f'{path} has a shape without a label or with malformed points.') from None
    xs, ys = zip(*points, strict=True)
    return label, [min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)]
