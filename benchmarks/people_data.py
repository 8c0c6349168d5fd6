"""The data of lighthead-people, from two sets in COCO layout: persons alone, fit and hold-out.

OUT/full has every training image of both sets and the validation images of the first; it is
what the shipped model is trained on and reported on. OUT/split has the first set's training
images split by a seed: 80 % to train on, with the second set's, and 20 % to choose by, so that
no choice sees the validation images. Images are linked, not copied.

    python benchmarks/people_data.py coco-people coco-mini --out OUT
"""

import argparse
import json
import random
from pathlib import Path

from lighthead.files import write_text_file

PERSON = 'person'
SECOND_SET = 10_000_000
"""Added to the image ids of the second set, so that none occurs twice."""


def read(folder: Path, split: str, offset: int = 0) -> dict:
    """The persons of one annotation file, with image names relative to OUT's image folders."""
    data = json.loads((folder / 'annotations' / f'instances_{split}2017.json').read_text())
    category = next(c for c in data['categories'] if c['name'] == PERSON)
    images = [
        image
        | dict(id=image['id'] + offset, file_name=f'{folder.name}/{split}2017/{image["file_name"]}')
        for image in data['images']
    ]
    annotations = [
        annotation | dict(image_id=annotation['image_id'] + offset)
        for annotation in data['annotations']
        if annotation['category_id'] == category['id']
    ]
    return dict(images=images, annotations=annotations, categories=[category])


def parted(data: dict, share: float, seed: int) -> tuple[dict, dict]:
    """Two parts of a set, the first with ``share`` of the images."""
    ids = sorted(image['id'] for image in data['images'])
    random.Random(seed).shuffle(ids)
    first = set(ids[: int(len(ids) * share)])
    return chosen(data, first), chosen(data, set(ids) - first)


def chosen(data: dict, ids: set[int]) -> dict:
    """The images of the given ids and their boxes."""
    return data | dict(
        images=[image for image in data['images'] if image['id'] in ids],
        annotations=[a for a in data['annotations'] if a['image_id'] in ids],
    )


def write(folder: Path, split: str, sources: list[Path], parts: list[dict]) -> None:
    """One annotation file of several parts, and links to their images."""
    merged = dict(
        images=[image for part in parts for image in part['images']],
        annotations=[
            annotation | dict(id=number)
            for number, annotation in enumerate(
                (a for part in parts for a in part['annotations']), start=1
            )
        ],
        categories=parts[0]['categories'],
    )
    (folder / f'{split}2017').mkdir(parents=True, exist_ok=True)
    for source in sources:
        link = folder / f'{split}2017' / source.name
        if not link.is_symlink():
            link.symlink_to(source.resolve(), target_is_directory=True)
    (folder / 'annotations').mkdir(exist_ok=True)
    path = folder / 'annotations' / f'instances_{split}2017.json'
    write_text_file(json.dumps(merged), path)
    print(f'{path}: {len(merged["images"])} images, {len(merged["annotations"])} persons')


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('first', type=Path, help='the larger set, with train2017 and val2017')
    parser.add_argument('second', type=Path, help='another set, of which train2017 is used')
    parser.add_argument('--out', type=Path, required=True)
    parser.add_argument('--share', type=float, default=0.8, help='to train on, in OUT/split')
    parser.add_argument('--seed', type=int, default=0)
    args = parser.parse_args()
    sources = [args.first, args.second]
    first, second = read(args.first, 'train'), read(args.second, 'train', SECOND_SET)
    fit, hold_out = parted(first, args.share, args.seed)
    write(args.out / 'full', 'train', sources, [first, second])
    write(args.out / 'full', 'val', sources, [read(args.first, 'val')])
    write(args.out / 'split', 'train', sources, [fit, second])
    write(args.out / 'split', 'val', sources, [hold_out])


if __name__ == '__main__':
    main()
