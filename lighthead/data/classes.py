"""Class names, category ids and colours of a COCO annotation file."""

import colorsys
from collections.abc import Mapping, Sequence
from pathlib import Path

from mmdet.datasets import CocoDataset

from lighthead.data.clean import load_coco_json
from lighthead.errors import UserError


def classes_from_json(ann_file: str | Path) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Class names and category ids of a COCO annotation file, in the file's order."""
    return classes_of(load_coco_json(ann_file), ann_file)


def classes_of(content: Mapping, ann_file: str | Path) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Class names and category ids of loaded COCO content, in its order.

    Raises:
        UserError: No categories, one without id or name, or an id or name that comes twice.
    """
    categories = content['categories']
    if not categories:
        raise UserError(f'{ann_file} has no categories: list the classes under "categories".')
    names: list[str] = []
    ids: list[int] = []
    for category in categories:
        name, cat_id = category.get('name'), category.get('id')
        if not isinstance(name, str) or not isinstance(cat_id, int):
            raise UserError(
                f'{ann_file} has a category without a name or a whole-number id ({category}).'
            )
        if cat_id in ids:
            raise UserError(f'{ann_file} has the category id {cat_id} twice: make ids unique.')
        if name in names:
            other = ids[names.index(name)]
            raise UserError(
                f'{ann_file} has two categories named "{name}" (ids {other} and {cat_id}): '
                'rename or remove one.'
            )
        names.append(name)
        ids.append(cat_id)
    return tuple(names), tuple(ids)


def palette_for(classes: Sequence[str]) -> list[tuple[int, int, int]]:
    """A colour (RGB) per class; COCO's own where the classes are COCO's."""
    if tuple(classes) == CocoDataset.METAINFO['classes']:
        return list(CocoDataset.METAINFO['palette'])
    colours = []
    for number in range(len(classes)):
        hue = (number * 0.618034) % 1  # the golden ratio keeps neighbours apart
        value = 1.0 if number % 2 else 0.8
        red, green, blue = colorsys.hsv_to_rgb(hue, 0.85, value)
        colours.append((round(255 * red), round(255 * green), round(255 * blue)))
    return colours
