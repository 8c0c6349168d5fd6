"""YOLO text labels: one ``class x_center y_center width height`` per line, from 0 to 1.

Layouts: ``data.yaml`` of Ultralytics and Roboflow; ``obj.names`` with ``train.txt`` (CVAT's
YOLO 1.1); ``classes.txt`` with ``images/`` and ``labels/`` (Label Studio).
Polygons become their bounding boxes; keypoints are left out.
"""

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from lighthead.data.formats.image_files import image_sizes, images_below
from lighthead.data.formats.labelled import ContentBuilder, LabelledSplit, split_of
from lighthead.errors import UserError

YAML_NAMES = ('data.yaml', 'data.yml', 'dataset.yaml', 'dataset.yml')
NAME_FILES = ('obj.names', 'classes.txt')
MAX_LABEL_BYTES = 4 * 2**20
"""Of one label file; a larger one is no list of boxes."""


@dataclass(frozen=True)
class YoloLayout:
    """Where a YOLO data set keeps things.

    Attributes:
        classes: Class names by class id.
        images: Image files of each split.
        keypoints: Values after the box that belong to keypoints.
    """

    classes: dict[int, str]
    images: dict[str, list[Path]]
    keypoints: int = 0


def is_yolo(root: Path) -> bool:
    """Whether ``root`` holds one of the files that name YOLO classes."""
    return any((root / name).is_file() for name in YAML_NAMES + NAME_FILES)


def read_yolo(root: Path) -> dict[str, LabelledSplit]:
    """Read every split.

    Raises:
        UserError: a file is missing or malformed; the message names it and its line.
    """
    description = next((root / n for n in YAML_NAMES if (root / n).is_file()), None)
    layout = _from_yaml(description) if description else _from_names(root)
    if not any(layout.images.values()):
        raise UserError(f'{root} has class names, but no images were found: check its folders.')
    return {
        name: _read_split(root, layout, images) for name, images in layout.images.items() if images
    }


def _from_yaml(path: Path) -> YoloLayout:
    try:
        data = yaml.safe_load(path.read_text(encoding='utf-8'))
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise UserError(f'{path} is not valid YAML ({_first_line(error)}).') from error
    if not isinstance(data, dict) or 'names' not in data:
        raise UserError(f'{path} has no "names": list the class names there.')
    base = path.parent
    if isinstance(data.get('path'), str):
        base = next((p for p in (base / data['path'],) if os.path.isdir(p)), base)
    images: dict[str, list[Path]] = {}
    for key in ('train', 'val', 'valid', 'test'):
        split = split_of(key)
        if split and data.get(key):
            images.setdefault(split, []).extend(_images_of(data[key], base, path))
    shape = data.get('kpt_shape') or (0, 0)
    if not (isinstance(shape, list | tuple) and all(isinstance(n, int) for n in shape)):
        raise UserError(f'{path}: kpt_shape must be two whole numbers, not {shape!r}.')
    return YoloLayout(_class_names(data['names'], path), images, math.prod(shape))


def _class_names(names: object, path: Path) -> dict[int, str]:
    if isinstance(names, list):
        names = dict(enumerate(names))
    numbered = isinstance(names, dict) and all(isinstance(k, int) and k >= 0 for k in names)
    if not isinstance(names, dict) or not names or not numbered:
        raise UserError(f'{path}: "names" must be a list of names, or names by class number.')
    if not all(isinstance(name, str | int | float) for name in names.values()):
        raise UserError(f'{path}: "names" holds something that is no name.')
    classes = {number: str(name) for number, name in names.items()}
    if len(set(classes.values())) < len(classes):
        raise UserError(f'{path} has the same class name twice: rename one.')
    return classes


def _images_of(entry: object, base: Path, path: Path) -> Iterator[Path]:
    """Images of a split: a folder, a text file that lists images, or several of them."""
    for item in entry if isinstance(entry, list) else [entry]:
        if not isinstance(item, str):
            raise UserError(f'{path}: a split is the path of a folder or of a list, not {item!r}.')
        # Roboflow writes ../train/images for what lies in train/images next to the file.
        candidates = [base / item, base / item.removeprefix('../'), path.parent / item]
        place = next((p for p in candidates if os.path.exists(p)), None)
        if place is None:
            raise UserError(f'{path} names {item}, which does not exist next to it.')
        yield from images_below(place) if place.is_dir() else _listed_images(place)


def _listed_images(path: Path) -> Iterator[Path]:
    """Images of a text file with one path per line, relative to it or to its data set's folder."""
    for line in _lines(path):
        name = Path(line.strip().replace('\\', '/'))
        # CVAT lists data/obj_train_data/x.jpg for what lies in obj_train_data/.
        shorter = Path(*name.parts[1:]) if len(name.parts) > 1 else name
        places = [path.parent / name, path.parent / shorter]
        yield next((place for place in places if os.path.isfile(place)), places[0])


def _from_names(root: Path) -> YoloLayout:
    names_file = next(root / name for name in NAME_FILES if (root / name).is_file())
    names = [line.strip() for line in _lines(names_file)]
    images: dict[str, list[Path]] = {}
    for listing in sorted(root.glob('*.txt')):
        split = split_of(listing.stem)
        if split and listing.name not in NAME_FILES:
            images.setdefault(split, []).extend(_listed_images(listing))
    if not images:
        images = _images_by_folder(root)
    return YoloLayout(_class_names(names, names_file), images)


def _images_by_folder(root: Path) -> dict[str, list[Path]]:
    """Images by the split in their path (``images/train/x.jpg``); all are train without one."""
    images: dict[str, list[Path]] = {}
    for path in images_below(root):
        folders = path.relative_to(root).parts[:-1]
        splits = [split for name in folders if (split := split_of(name))]
        images.setdefault(splits[0] if splits else 'train', []).append(path)
    return images


def _read_split(root: Path, layout: YoloLayout, images: list[Path]) -> LabelledSplit:
    builder, notes = ContentBuilder(layout.classes), []
    missing, unlabelled = [], 0
    for path, size in zip(images, image_sizes(images), strict=True):
        if size is None:
            missing.append(path.name)
            continue
        labels = label_file(path)
        unlabelled += labels is None
        image_id = builder.add_image(_relative(path, root), *size)
        for class_id, box in _boxes(labels, layout, *size) if labels else ():
            builder.add_box(image_id, class_id, box)
    if missing:
        notes.append(f'{len(missing)} images are missing or unreadable ({missing[0]}, ...)')
    if unlabelled:
        notes.append(f'{unlabelled} images have no label file: they count as images without boxes')
    return LabelledSplit(builder.content(), root, notes=notes)


def _relative(path: Path, root: Path) -> str:
    path = path.absolute()
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)


def label_file(image: Path) -> Path | None:
    """The label file of an image: in ``labels/`` where it lies in ``images/``, else next to it."""
    places = [image.with_suffix('.txt')]
    folders = [part.lower() for part in image.parts[:-1]]
    if 'images' in folders:
        last = len(folders) - 1 - folders[::-1].index('images')
        moved = Path(*image.parts[:last], 'labels', *image.parts[last + 1 :])
        places.insert(0, moved.with_suffix('.txt'))
    return next((place for place in places if os.path.isfile(place)), None)


def _boxes(
    path: Path, layout: YoloLayout, width: int, height: int
) -> Iterator[tuple[int, list[float]]]:
    """Class ids and boxes (x, y, w, h) in pixels of one label file."""
    for number, line in enumerate(_lines(path), start=1):
        try:
            class_id, *values = (float(word) for word in line.split())
        except ValueError:
            raise UserError(f'{path}, line {number}: {line.strip()[:60]!r} is no label.') from None
        if class_id not in layout.classes:
            raise UserError(
                f'{path}, line {number}: there is no class {class_id:g}; the data set names '
                f'{len(layout.classes)} classes.'
            )
        if layout.keypoints and len(values) == 4 + layout.keypoints:
            values = values[:4]
        box = _unit_box(values)
        if box is None:
            raise UserError(
                f'{path}, line {number}: a label is a class and four numbers, or a polygon; '
                f'this one has {len(values)} numbers after its class.'
            )
        x, y, w, h = box
        yield int(class_id), [x * width, y * height, w * width, h * height]


def _unit_box(values: list[float]) -> tuple[float, float, float, float] | None:
    """(x, y, w, h) from 0 to 1 of a centre and a size, or of a polygon's corners."""
    if not all(math.isfinite(value) for value in values):
        return None
    if len(values) == 4:
        x, y, w, h = values
        return x - w / 2, y - h / 2, w, h
    if len(values) < 6 or len(values) % 2:
        return None
    xs, ys = values[0::2], values[1::2]
    return min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)


def _lines(path: Path) -> list[str]:
    """Lines of a small text file that are not empty."""
    if path.stat().st_size > MAX_LABEL_BYTES:
        raise UserError(
            f'{path} is larger than {MAX_LABEL_BYTES >> 20} MiB: this is no label file.'
        )
    try:
        text = path.read_text(encoding='utf-8-sig')
    except UnicodeDecodeError as error:
        raise UserError(f'{path} is not UTF-8 text: save it as UTF-8.') from error
    return [line for line in text.splitlines() if line.strip()]


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
