"""COCO: one JSON file per split (https://cocodataset.org/#format-data).

Accepted names, in any case: COCO's own (``annotations/instances_train2017.json``), CVAT's
(``annotations/instances_default.json``, ``instances_Train.json``), Roboflow's
(``train/_annotations.coco.json``), Label Studio's (``result.json``), ``train.json`` and the
only JSON file of a folder.
"""

import json
import mmap
import os
import re
from collections.abc import Iterator
from pathlib import Path

from lighthead.data.clean import load_coco_json
from lighthead.data.content import check_content
from lighthead.data.formats.image_files import images_below
from lighthead.data.formats.labelled import SPLIT_NAMES, LabelledSplit, split_of
from lighthead.errors import UserError

PREFIXES = ('instances_', 'annotations_', '')
UNNAMED = ('result', '_annotations.coco', 'annotations', 'coco', 'labels', 'dataset')
"""Names of a file that holds all images; those of one split where it lies in its folder."""
HEAD_BYTES = 1 << 20
"""So much of a file is looked at to tell COCO from other JSON."""
IMAGE_FOLDERS = ('{}', 'images/{}', 'images', '.')
COCO_KEY = re.compile(rb'"(images|annotations|categories)"\s*:\s*\[')


def coco_files(root: Path) -> dict[str, list[Path]]:
    """Annotation files by split; a file whose name says nothing is train."""
    files: dict[str, list[Path]] = {}
    for path in _json_files(root):
        split = _split_of_file(path, root)
        if split:
            files.setdefault(split, []).append(path)
    if not files:
        everything = [path for path in _json_files(root) if looks_like_coco(path)]
        if len(everything) == 1:
            files['train'] = everything
    return files


def _json_files(root: Path) -> Iterator[Path]:
    for folder in (root, root / 'annotations', *sorted(p for p in root.iterdir() if p.is_dir())):
        if folder.is_dir() and (folder != root / 'annotations' or folder.parent == root):
            yield from sorted(p for p in folder.iterdir() if p.suffix.lower() == '.json')


def _split_of_file(path: Path, root: Path) -> str | None:
    stem = path.stem.lower()
    for prefix in PREFIXES:
        split = split_of(stem.removeprefix(prefix)) if stem.startswith(prefix) else None
        if split:
            return split
    if stem in UNNAMED:
        return 'train' if path.parent == root else split_of(path.parent.name) or 'train'
    return None


def looks_like_coco(path: Path) -> bool:
    """Whether a JSON file is an object with COCO's lists: two of them are found.

    They are looked for in the first and last megabyte, and then in the rest.
    """
    with open(path, 'rb') as file:
        head = file.read(HEAD_BYTES)
        file.seek(max(0, path.stat().st_size - HEAD_BYTES))
        text = head + file.read()
    if text.lstrip()[:1] != b'{':
        return False
    return len(set(COCO_KEY.findall(text))) >= 2 or _has_two_lists(path)


def _has_two_lists(path: Path) -> bool:
    found = set()
    with open(path, 'rb') as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        for match in COCO_KEY.finditer(content):
            found.add(match[1])
            if len(found) == 2:
                return True
    return False


def is_coco(root: Path) -> bool:
    """Whether a split of ``root`` has an annotation file with COCO's lists."""
    return any(looks_like_coco(path) for paths in coco_files(root).values() for path in paths)


def read_coco(root: Path) -> dict[str, LabelledSplit]:
    """Read every split.

    Raises:
        UserError: a split has several files, one is malformed, or its images are nowhere.
    """
    splits = {}
    for split, paths in coco_files(root).items():
        paths = [path for path in dict.fromkeys(paths) if looks_like_coco(path)]
        if len(paths) > 1:
            names = ', '.join(str(path.relative_to(root)) for path in paths)
            raise UserError(
                f'{root} has several annotation files for the {split} split ({names}): '
                'keep one, or name it in the config.'
            )
        if paths:
            splits[split] = read_coco_file(paths[0], root, split)
    return splits


def read_coco_file(path: Path, root: Path, split: str) -> LabelledSplit:
    """Read one annotation file and find its images."""
    content = load_coco_json(path)
    check_content(content, path)
    names = [image['file_name'] for image in content['images']]
    folder = _image_folder(root, path, split, names)
    if folder is not None:
        return LabelledSplit(content, folder, path)
    return _matched_by_name(content, path, root, split)


def _image_folder(root: Path, path: Path, split: str, names: list[str]) -> Path | None:
    """The folder in which the first listed image lies under its listed name."""
    stems = [path.stem.removeprefix('instances_')]
    stems += [name for name, meaning in SPLIT_NAMES.items() if meaning == split]
    folders = [root / form.format(stem) for form in IMAGE_FOLDERS for stem in stems]
    folders.append(path.parent)
    for folder in dict.fromkeys(folders):
        if names and os.path.isfile(folder / names[0]):
            return folder
    return None if names and _image_below(root) else _first_folder(root, folders, split, path)


def _image_below(root: Path) -> bool:
    return any(True for _ in images_below(root))


def _first_folder(root: Path, folders: list[Path], split: str, path: Path) -> Path:
    for folder in folders:
        if folder.is_dir() and folder not in (root, path.parent):
            return folder
    raise UserError(
        f'{root} has no image folder for the {split} split: put the images in {folders[0]}.'
    )


def _matched_by_name(content: dict, path: Path, root: Path, split: str) -> LabelledSplit:
    """Images found by their bare name: a tool wrote the paths of its own server.

    Raises:
        UserError: none of the listed images lies below ``root``.
    """
    places: dict[str, list[str]] = {}
    for place in images_below(root):
        places.setdefault(place.name, []).append(str(place.relative_to(root)))
    images, found = [], 0
    for image in content['images']:
        name = str(image.get('file_name') or '').replace('\\', '/').rpartition('/')[2]
        matches = places.get(name, [])
        found += len(matches) == 1
        images.append({**image, 'file_name': matches[0] if len(matches) == 1 else name})
    if not found:
        raise UserError(
            f'None of the {len(images)} images listed in {path} is in {root} '
            f'({json.dumps(images[0]["file_name"])}, ...): put the images there.'
        )
    note = f'{found} of {len(images)} images of the {split} split were found by their bare names'
    return LabelledSplit({**content, 'images': images}, root, notes=[note])
