"""Write tidecv's figures of the scenes of scenes.py, which test_tide.py compares with.

In an environment of its own, where lighthead and tidecv 1.0.1 are installed (or both on
PYTHONPATH): python tests/evaluation/analysis/tidecv_figures.py
"""

import json
import tempfile
from pathlib import Path

from scenes import SEEDS, scene

FILE = Path(__file__).with_name('tidecv_figures.json')
NAMES = {'FalsePos': 'false positives', 'FalseNeg': 'false negatives'}


def figures(ann_file: Path, found: Path) -> dict:
    """AP, costs and counts by tidecv."""
    from tidecv import TIDE, Data

    truth, detections = Data('truth'), Data('detections')
    content = json.loads(ann_file.read_text())
    for category in content['categories']:
        truth.add_class(category['id'], category['name'])
    for image in content['images']:
        truth.add_image(image['id'], image['file_name'])
    for entry in content['annotations']:
        add = truth.add_ignore_region if entry['iscrowd'] else truth.add_ground_truth
        add(entry['image_id'], entry['category_id'], entry['bbox'])
    for entry in json.loads(found.read_text()):
        box = entry['bbox']
        detections.add_detection(entry['image_id'], entry['category_id'], entry['score'], box)
    run = TIDE().evaluate(truth, detections, mode=TIDE.BOX)
    costs = {**run.fix_main_errors(), **run.fix_special_errors()}
    names = {kind: NAMES.get(kind.short_name, kind.short_name.lower()) for kind in costs}
    return dict(
        ap=run.ap,
        costs={names[kind]: cost for kind, cost in costs.items()},
        counts={names[kind]: count for kind, count in run.count_errors().items()},
    )


if __name__ == '__main__':
    with tempfile.TemporaryDirectory() as folder:
        every = {seed: figures(*scene(Path(folder) / str(seed), seed)) for seed in SEEDS}
    FILE.write_text(json.dumps(every, indent=1) + '\n')
