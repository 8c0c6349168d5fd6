"""Parts of data sets in COCO layout: some images, some classes, two sets joined; image links."""

import json
import random
from collections.abc import Sequence
from pathlib import Path

from lighthead.files import write_text_file

SECOND_SET = 10_000_000
"""Added to the image ids of a second set, so that none occurs twice."""


def read(folder: Path, split: str, offset: int = 0) -> dict:
    """An annotation file, with image names relative to a folder that links to the set."""
    data = json.loads((folder / 'annotations' / f'instances_{split}2017.json').read_text())
    images = [
        image
        | dict(id=image['id'] + offset, file_name=f'{folder.name}/{split}2017/{image["file_name"]}')
        for image in data['images']
    ]
    annotations = [a | dict(image_id=a['image_id'] + offset) for a in data['annotations']]
    return dict(images=images, annotations=annotations, categories=data['categories'])


def joined(parts: Sequence[dict]) -> dict:
    """Annotation files of the same categories as one."""
    annotations = [a for part in parts for a in part['annotations']]
    return dict(
        images=[image for part in parts for image in part['images']],
        annotations=[a | dict(id=number) for number, a in enumerate(annotations, start=1)],
        categories=parts[0]['categories'],
    )


def of_images(data: dict, ids: set[int]) -> dict:
    """The given images alone."""
    return data | dict(
        images=[image for image in data['images'] if image['id'] in ids],
        annotations=[a for a in data['annotations'] if a['image_id'] in ids],
    )


def of_classes(data: dict, classes: Sequence[str]) -> dict:
    """The boxes of some classes alone, in the order given; all images stay."""
    ids = {c['name']: c['id'] for c in data['categories']}
    wanted = [ids[name] for name in classes]
    return data | dict(
        annotations=[a for a in data['annotations'] if a['category_id'] in wanted],
        categories=[c for i in wanted for c in data['categories'] if c['id'] == i],
    )


def shuffled_ids(data: dict, seed: int) -> list[int]:
    """The ids of the images in a random order."""
    ids = sorted(image['id'] for image in data['images'])
    random.Random(seed).shuffle(ids)
    return ids


def parted(data: dict, count: int, seed: int) -> tuple[dict, dict]:
    """Two parts of a set, the first with ``count`` images."""
    ids = shuffled_ids(data, seed)
    return of_images(data, set(ids[:count])), of_images(data, set(ids[count:]))


def write(folder: Path, split: str, sources: Sequence[Path], data: dict) -> None:
    """An annotation file, and links to the sets that its images come from."""
    (folder / f'{split}2017').mkdir(parents=True, exist_ok=True)
    for source in sources:
        link = folder / f'{split}2017' / source.name
        if not link.is_symlink():
            link.symlink_to(source.resolve(), target_is_directory=True)
    (folder / 'annotations').mkdir(exist_ok=True)
    path = folder / 'annotations' / f'instances_{split}2017.json'
    write_text_file(json.dumps(data), path)
    print(f'{path}: {len(data["images"])} images, {len(data["annotations"])} boxes')
