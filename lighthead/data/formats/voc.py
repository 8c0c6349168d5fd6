"""Pascal VOC: one XML file per image (http://host.robots.ox.ac.uk/pascal/VOC/voc2012).

Layouts: ``Annotations/``, ``JPEGImages/`` and ``ImageSets/Main/*.txt``; the same without
ImageSets; XML files next to their images or in folders named for a split. Coordinates are
taken as they are written, without a shift by one pixel: labelling tools count from 0.
Objects marked ``difficult`` become crowds, which neither train nor count as missed.
"""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import parse

from lighthead.data.formats.image_files import image_sizes, images_below
from lighthead.data.formats.labelled import ContentBuilder, LabelledSplit, split_of
from lighthead.errors import UserError

FLAG = re.compile(r'\s+-?[01]$')
"""After a name in ImageSets: whether the image has a class."""


@dataclass(frozen=True)
class VocObject:
    """One object of an image: its box is (x, y, width, height) in pixels."""

    name: str
    box: tuple[float, float, float, float]
    difficult: bool


@dataclass(frozen=True)
class VocImage:
    """What one XML file says."""

    path: Path
    file_name: str
    objects: list[VocObject]


def xml_files(root: Path) -> list[Path]:
    """XML files below ``root``, sorted; suffixes in any case."""
    return sorted(path for path in root.rglob('*') if path.suffix.lower() == '.xml')


def is_voc(root: Path) -> bool:
    """Whether there is an XML file whose root element is ``annotation``."""
    first = next(iter(xml_files(root)), None)
    return first is not None and _tree(first).tag == 'annotation'


def read_voc(root: Path) -> dict[str, LabelledSplit]:
    """Read every split; classes are the names that occur, sorted.

    Raises:
        UserError: an XML file is malformed; the message names it.
    """
    labelled = [_read_xml(path) for path in xml_files(root)]
    classes = dict(enumerate(sorted({o.name for image in labelled for o in image.objects})))
    if not classes:
        raise UserError(f'The XML files in {root} name no object: there is nothing to learn.')
    images = images_below(root)
    by_name = {path.name: path for path in images}
    by_stem = {path.stem: path for path in images}
    splits = {}
    for name, members in _by_split(root, labelled).items():
        found = {i.path: by_name.get(i.file_name) or by_stem.get(i.path.stem) for i in members}
        splits[name] = _read_split(root, classes, members, found)
    return splits


def _by_split(root: Path, labelled: Iterable[VocImage]) -> dict[str, list[VocImage]]:
    """Images by ImageSets/Main, else by a folder named for a split, else all as train."""
    lists = {}
    for listing in sorted(root.glob('ImageSets/Main/*.txt')):
        split = split_of(listing.stem)
        if split:
            names = {FLAG.sub('', line.strip()) for line in _lines(listing)}
            lists[listing.stem.lower()] = (split, names)
    if 'trainval' in lists and 'train' in lists:
        del lists['trainval']
    splits: dict[str, list[VocImage]] = {}
    for image in labelled:
        folders = image.path.relative_to(root).parts[:-1]
        split = next((split_of(part) for part in folders if split_of(part)), 'train')
        if lists:
            key = image.path.stem
            split = next((name for name, stems in lists.values() if _listed(key, stems)), None)
        if split is not None:
            splits.setdefault(split, []).append(image)
    return splits


def _lines(listing: Path) -> list[str]:
    try:
        return listing.read_text('utf-8-sig').splitlines()
    except UnicodeDecodeError as error:
        raise UserError(f'{listing} is not UTF-8 text: save it as UTF-8.') from error


def _listed(stem: str, names: set[str]) -> bool:
    return stem in names or any(Path(name).name == stem for name in names if '/' in name)


def _read_split(
    root: Path, classes: dict[int, str], members: list[VocImage], found: dict[Path, Path | None]
) -> LabelledSplit:
    builder, notes = ContentBuilder(classes), []
    ids = {name: class_id for class_id, name in classes.items()}
    present = [(i, path) for i in members if (path := found[i.path]) is not None]
    unreadable = len(members) - len(present)
    sizes = image_sizes(path for _, path in present)
    for (image, path), size in zip(present, sizes, strict=True):
        if size is None:
            unreadable += 1
            continue
        image_id = builder.add_image(str(path.relative_to(root)), *size)
        for item in image.objects:
            extra = {'iscrowd': 1, 'difficult': 1} if item.difficult else {}
            builder.add_box(image_id, ids[item.name], item.box, **extra)
    if unreadable:
        notes.append(f'{unreadable} XML files have no image, or one that cannot be read')
    return LabelledSplit(builder.content(), root, notes=notes)


def _tree(path: Path) -> Element:
    try:
        return parse(path).getroot()
    except (ParseError, DefusedXmlException, ValueError, LookupError) as error:
        raise UserError(f'{path} is not a valid XML file ({error}).') from error


def _read_xml(path: Path) -> VocImage:
    tree = _tree(path)
    if tree.tag != 'annotation':
        raise UserError(f'{path} is not a Pascal VOC annotation: its root is <{tree.tag}>.')
    file_name = Path((tree.findtext('filename') or '').strip().replace('\\', '/')).name
    objects = [_read_object(node, path) for node in tree.iter('object')]
    return VocImage(path, file_name, objects)


def _read_object(node: Element, path: Path) -> VocObject:
    name = (node.findtext('name') or '').strip()
    box = node.find('bndbox')
    try:
        left, top, right, bottom = (
            float('' if box is None else box.findtext(key, ''))
            for key in ('xmin', 'ymin', 'xmax', 'ymax')
        )
    except ValueError:
        raise UserError(f'{path}: an object has no <bndbox> with four numbers.') from None
    if not name or not all(map(math.isfinite, (left, top, right, bottom))):
        raise UserError(f'{path}: an object has no <name>, or a coordinate that is no number.')
    difficult = (node.findtext('difficult') or '0').strip() not in ('0', '')
    return VocObject(name, (left, top, right - left, bottom - top), difficult)
