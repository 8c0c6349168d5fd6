"""AP of detectors on some images of a data set."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from lighthead.data.clean import load_coco_json
from lighthead.data.find_splits import Split
from lighthead.evaluation.accuracy import measure, validation_split

DEMO = Path(__file__).resolve().parents[2] / 'data' / 'demo'


class AllSeen:
    """A detector that answers with the annotations, image after image."""

    def __init__(self, split: Split) -> None:
        content = load_coco_json(split.ann_file)
        ids = [one['id'] for one in content['categories']]
        self.classes = [one['name'] for one in content['categories']]
        self.answers = iter(
            [
                [(a['bbox'], ids.index(a['category_id'])) for a in content['annotations']
                 if a['image_id'] == image['id']]
                for image in content['images']
            ]
        )  # fmt: skip

    def __call__(self, _: np.ndarray) -> SimpleNamespace:
        boxes, labels = zip(*next(self.answers))
        corners = np.array(boxes, dtype=np.float32)
        corners[:, 2:] += corners[:, :2]
        return SimpleNamespace(
            boxes=corners, scores=np.ones(len(labels), np.float32), labels=np.array(labels)
        )


def test_images_that_were_not_run_do_not_count() -> None:
    split = validation_split(DEMO)
    measured = measure({'all seen': AllSeen(split)}, split, limit=5)
    assert measured['all seen'].ap == pytest.approx(1)
