"""Ground truth and detections with errors of every kind."""

import json
from pathlib import Path

import numpy as np

CLASSES = {4: 'bird', 9: '<b>ship</b>', 30: 'sun & "moon"', 31: 'never there'}
IDS = list(CLASSES)
SEEDS = range(6)


def scene(folder: Path, seed: int = 0, images: int = 24) -> tuple[Path, Path]:
    """Files of annotations and of detections; scores are rounded, so that many are equal.

    Boxes are moved, doubled, given other classes and left out; some objects are crowds, some
    images empty, one class has no object, one detection lies where no image has objects.
    """
    rng = np.random.default_rng(seed)
    annotations, detections = [], []
    for image in range(images):
        for _ in range(rng.integers(0, 9)):
            w, h = rng.uniform(8, 120, 2).round(1).tolist()
            x, y = rng.uniform(0, 400 - w), rng.uniform(0, 300 - h)
            label = IDS[rng.integers(3)]
            entry = dict(id=len(annotations) + 1, image_id=image, category_id=label, area=w * h)
            crowd = int(rng.random() < 0.08)
            annotations.append(entry | dict(bbox=[x, y, w, h], iscrowd=crowd))
            for _ in range(rng.integers(0, 4)):
                detections.append(_near([x, y, w, h], label, image, rng))
        for _ in range(rng.integers(0, 3)):
            box = [*rng.uniform(0, 250, 2).tolist(), *rng.uniform(10, 60, 2).tolist()]
            detections.append(_detection(image, IDS[rng.integers(4)], box, rng))
    names = [f'img {n} <i>.jpg' for n in range(images)]
    content = dict(
        images=[dict(id=n, file_name=f, width=400, height=300) for n, f in enumerate(names)],
        annotations=annotations,
        categories=[dict(id=i, name=name) for i, name in CLASSES.items()],
    )
    folder.mkdir(parents=True, exist_ok=True)
    files = folder / 'val.json', folder / 'found.json'
    for path, data in zip(files, (content, detections), strict=True):
        path.write_text(json.dumps(data))
    return files


def _near(box: list[float], label: int, image: int, rng: np.random.Generator) -> dict:
    spread = rng.choice([0.03, 0.2, 0.5])
    w, h = box[2:]
    moved = np.array(box) + rng.normal(0, spread, 4) * [w, h, w, h]
    moved[2:] = np.maximum(moved[2:], 2)
    other = rng.random() < 0.25
    return _detection(image, IDS[rng.integers(4)] if other else label, moved.tolist(), rng)


def _detection(image: int, label: int, box: list[float], rng: np.random.Generator) -> dict:
    return dict(image_id=image, category_id=label, bbox=box, score=round(rng.random(), 1))
