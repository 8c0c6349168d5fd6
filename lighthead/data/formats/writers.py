"""Writing a data set as COCO, YOLO or Pascal VOC, images included."""

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple
from xml.etree.ElementTree import Element, ElementTree, SubElement, indent

import yaml

from lighthead.data.formats.labelled import LabelledData, LabelledSplit
from lighthead.errors import UserError
from lighthead.files import clean_leftovers, temporary_folder


class PlacedImage(NamedTuple):
    """An image that was copied: its COCO entry, its new name and its annotations."""

    image: dict
    name: Path
    annotations: list[dict]


class ImagePlacer:
    """Copies or links images into a folder, under names whose stems are used once.

    Args:
        copy: Whether to copy; otherwise images are linked, hard where the file system can.
        flat: Whether subfolders are left out of the names.
    """

    def __init__(self, copy: bool, flat: bool = False) -> None:
        self.copy, self.flat = copy, flat
        self.taken: set[str] = set()

    def place(self, split: LabelledSplit, folder: Path) -> Iterator[PlacedImage]:
        """Place the images of a split that exist; names are relative to ``folder``."""
        boxes = boxes_by_image(split.content)
        for image in split.content['images']:
            source = split.img_dir / image['file_name']
            if os.path.isfile(source):
                name = self._free_name(Path(image['file_name']), folder)
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                self._transfer(source, folder / name)
                yield PlacedImage(image, name, boxes.get(image['id'], []))

    def _free_name(self, name: Path, folder: Path) -> Path:
        """A name whose stem is free in any case, because label files are named for it."""
        if self.flat or name.is_absolute() or '..' in name.parts:
            name = Path(name.name)
        candidate, number = name, 1
        while (key := str(folder / candidate.with_suffix('')).casefold()) in self.taken:
            number += 1
            candidate = name.with_stem(f'{name.stem}_{number}')
        self.taken.add(key)
        return candidate

    def _transfer(self, source: Path, target: Path) -> None:
        if self.copy:
            shutil.copyfile(source, target)
            return
        try:
            os.link(source, target)
        except OSError:
            target.symlink_to(source.resolve())


def write_dataset(data: LabelledData, out: Path, form: str, copy: bool = True) -> list[str]:
    """Write ``data`` into the new folder ``out``, which appears when it is complete.

    Args:
        form: ``'coco'``, ``'yolo'`` or ``'voc'``.
        copy: Whether images are copied, or linked.

    Returns:
        Notes on what the format cannot express.

    Raises:
        UserError: ``out`` exists and is not empty, or cannot be written.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f'{out} is not an empty folder: choose another.')
    out = Path(os.path.abspath(out))
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        clean_leftovers(out.parent)
        with temporary_folder(out) as folder:
            notes = WRITERS[form](data, folder, copy)
            os.rename(folder, out)  # over an empty folder too
        return notes
    except UnicodeEncodeError as error:  # half of a surrogate pair, which JSON can hold
        raise UserError(f'{data.root} has a name that is no Unicode text: rename it.') from error
    except OSError as error:
        raise UserError(f'{out} cannot be written ({error.strerror}).') from error


def _write_coco(data: LabelledData, out: Path, copy: bool) -> list[str]:
    placer = ImagePlacer(copy)
    (out / 'annotations').mkdir()
    for name, split in data.splits.items():
        placed = list(placer.place(split, out / name))
        content = {
            **split.content,
            'images': [{**item.image, 'file_name': str(item.name)} for item in placed],
            'annotations': [annotation for item in placed for annotation in item.annotations],
        }
        text = json.dumps(content, ensure_ascii=False)
        (out / 'annotations' / f'instances_{name}.json').write_text(text, encoding='utf-8')
    return []


def _write_yolo(data: LabelledData, out: Path, copy: bool) -> list[str]:
    placer, classes, crowds = ImagePlacer(copy), all_classes(data), 0
    for name, split in data.splits.items():
        number = {c['id']: classes.index(c['name']) for c in split.content['categories']}
        for image, file_name, annotations in placer.place(split, out / 'images' / name):
            boxes = [annotation for annotation in annotations if not annotation.get('iscrowd')]
            crowds += len(annotations) - len(boxes)
            lines = [_yolo_line(box, image, number[box['category_id']]) for box in boxes]
            path = (out / 'labels' / name / file_name).with_suffix('.txt')
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(''.join(lines), encoding='utf-8')
    places = {name: f'images/{name}' for name in data.splits}
    description = {'path': '.', **places, 'names': dict(enumerate(classes))}
    text = yaml.safe_dump(description, allow_unicode=True, sort_keys=False)
    (out / 'data.yaml').write_text(text, encoding='utf-8')
    return [f'{crowds} crowd boxes were left out: YOLO has none'] if crowds else []


def _yolo_line(annotation: Mapping, image: Mapping, class_id: int) -> str:
    x, y, w, h = annotation['bbox']
    width, height = image['width'], image['height']
    values = ((x + w / 2) / width, (y + h / 2) / height, w / width, h / height)
    return f'{class_id} {" ".join(f"{value:.6f}" for value in values)}\n'


def _write_voc(data: LabelledData, out: Path, copy: bool) -> list[str]:
    placer = ImagePlacer(copy, flat=True)
    for folder in ('Annotations', 'ImageSets/Main'):
        (out / folder).mkdir(parents=True)
    for name, split in data.splits.items():
        labels = {c['id']: c['name'] for c in split.content['categories']}
        stems = []
        for image, file_name, annotations in placer.place(split, out / 'JPEGImages'):
            tree = _voc_tree(str(file_name), image, annotations, labels)
            ElementTree(tree).write(out / 'Annotations' / f'{file_name.stem}.xml', 'utf-8')
            stems.append(f'{file_name.stem}\n')
        (out / 'ImageSets' / 'Main' / f'{name}.txt').write_text(''.join(stems), encoding='utf-8')
    return []


def _voc_tree(file_name: str, image: Mapping, annotations: list[dict], labels: Mapping) -> Element:
    tree = Element('annotation')
    SubElement(tree, 'filename').text = file_name
    size = SubElement(tree, 'size')
    for key in ('width', 'height'):
        SubElement(size, key).text = str(image[key])
    for annotation in annotations:
        x, y, w, h = annotation['bbox']
        node = SubElement(tree, 'object')
        SubElement(node, 'name').text = labels[annotation['category_id']]
        SubElement(node, 'difficult').text = str(int(bool(annotation.get('iscrowd'))))
        corners = SubElement(node, 'bndbox')
        for key, value in zip(('xmin', 'ymin', 'xmax', 'ymax'), (x, y, x + w, y + h), strict=True):
            SubElement(corners, key).text = f'{value:.2f}'
    indent(tree)
    return tree


WRITERS: dict[str, Callable[[LabelledData, Path, bool], list[str]]] = {
    'coco': _write_coco,
    'yolo': _write_yolo,
    'voc': _write_voc,
}


def boxes_by_image(content: Mapping) -> dict[object, list[dict]]:
    """The annotations of each image id of COCO content."""
    boxes: dict[object, list[dict]] = {}
    for annotation in content['annotations']:
        boxes.setdefault(annotation['image_id'], []).append(annotation)
    return boxes


def all_classes(data: LabelledData) -> list[str]:
    """The classes of all splits, in the order of the first split that has them."""
    return list(dict.fromkeys(name for split in data.splits.values() for name in split.classes))
