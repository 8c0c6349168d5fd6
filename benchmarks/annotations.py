"""Seconds and memory of reading annotations in a training: each reader alone, and parsed once.

Writes an annotation file of train2017's size (118,287 images, 860,001 boxes with polygons; about
450 MB) and one of val2017's size, and takes the steps of a training up to its data sets and metric,
each way in a process of its own, in turn. The images are empty files that nothing opens.

    python benchmarks/annotations.py [--images 118287] [--rounds 1]
"""

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path

TRAIN_IMAGES, VAL_IMAGES = 118_287, 5_000
BOXES_PER_IMAGE = 860_001 / TRAIN_IMAGES
POLYGON = json.dumps([round(17.37 * i % 480, 2) for i in range(42)])
"""21 points: gives train2017's bytes per box."""
WAYS = ('each reader alone', 'parsed once')


def write_split(root: Path, split: str, images: int) -> Path:
    """Write an annotation file of random boxes, and its images as empty files."""
    rng = random.Random(0)
    (root / split).mkdir(parents=True)
    (root / 'annotations').mkdir(exist_ok=True)
    names = [f'{number:012d}.jpg' for number in range(1, images + 1)]
    for name in names:
        (root / split / name).touch()
    listed = [dict(id=i, file_name=n, width=640, height=480) for i, n in enumerate(names, 1)]
    categories = [dict(id=i, name=f'class {i}', supercategory='x') for i in range(1, 81)]
    head, tail = json.dumps(dict(images=listed)), json.dumps(dict(categories=categories))
    path = root / 'annotations' / f'instances_{split}.json'
    with open(path, 'w') as file:
        file.write(f'{head[:-1]}, "annotations": [')
        for number in range(int(images * BOXES_PER_IMAGE)):
            file.write(', ' * (number > 0) + box_of(rng, number + 1, images))
        file.write(f'], {tail[1:]}')
    return path


def box_of(rng: random.Random, number: int, images: int) -> str:
    """One annotation as text, with a polygon of :data:`POLYGON`'s length."""
    x, y = rng.randrange(500), rng.randrange(350)
    return (
        f'{{"segmentation": [{POLYGON}], "area": 1234.5678, "iscrowd": 0, '
        f'"image_id": {rng.randrange(images) + 1}, "bbox": [{x}.25, {y}.5, 71.75, 55.36], '
        f'"category_id": {rng.randrange(80) + 1}, "id": {number}}}'
    )


def measure_here(root: Path, way: str) -> None:
    """Take the steps and print seconds and peak memory, beyond that of the imports, as JSON."""
    from mmdet.registry import DATASETS, METRICS, TRANSFORMS
    from mmengine.registry import DefaultScope

    from lighthead.config.read import read
    from lighthead.data.check import check_data
    from lighthead.data.layout import apply_data_root
    from lighthead.data.parsed_once import parsed_once

    cfg = read('lighthead_shufflev2star').cfg
    for registry in (DATASETS, METRICS, TRANSFORMS):
        registry.import_from_location()  # imports do not count
    before, start = peak_mib(), time.perf_counter()
    scope = DefaultScope.overwrite_default_scope('mmdet')
    with scope, parsed_once() if way == WAYS[1] else nullcontext():
        apply_data_root(cfg, root)
        check_data(cfg)
        built = [DATASETS.build(cfg[f'{split}_dataloader'].dataset) for split in ('train', 'val')]
        built.append(METRICS.build(cfg.val_evaluator))
    figures = dict(seconds=time.perf_counter() - start, mib=peak_mib() - before)
    print(json.dumps(figures), flush=True)


def peak_mib() -> float:
    """Peak resident memory of this process."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(root: Path, way: str) -> dict:
    """:func:`measure_here` in a process of its own."""
    command = [sys.executable, '-W', 'ignore', __file__, '--measure', str(root), way]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def main(args: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        train = write_split(root, 'train2017', args.images)
        write_split(root, 'val2017', min(VAL_IMAGES, args.images))
        print(f'{args.images} training images, {train.stat().st_size / 1e6:.0f} MB', flush=True)
        for _ in range(args.rounds):
            for way in WAYS:
                figures = measure(root, way)
                print(f'{way}: {figures["seconds"]:.1f} s, {figures["mib"]:.0f} MiB', flush=True)


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--images', type=int, default=TRAIN_IMAGES)
    parser.add_argument('--rounds', type=int, default=1)
    parser.add_argument('--measure', nargs=2, metavar=('ROOT', 'WAY'), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        measure_here(Path(arguments.measure[0]), arguments.measure[1])
    else:
        main(arguments)
