"""Sorting, filtering and COCO's form of detections."""

import json
from pathlib import Path

import numpy as np
import pytest

from lighthead.inference.predictions import Predictions
from lighthead.inference.results import Detections

CLASSES = ['cat', 'dog', 'bird']


@pytest.fixture
def detections() -> Detections:
    """Three detections, given out of order."""
    return Detections.from_arrays(
        boxes=[[0, 0, 10, 20], [5, 6, 7, 8], [1.5, 2, 3, 4.25]],
        scores=[0.2, 0.9, 0.5],
        labels=[0, 2, 1],
        classes=CLASSES,
        image_size=(30, 40),
    )


def test_sorted_by_score(detections):
    assert detections.names == ['bird', 'dog', 'cat']
    np.testing.assert_allclose(detections.scores, [0.9, 0.5, 0.2])
    np.testing.assert_array_equal(detections.labels, [2, 1, 0])
    np.testing.assert_array_equal(detections.boxes[0], [5, 6, 7, 8])
    assert (detections.boxes.dtype, detections.labels.dtype) == (np.float32, np.int64)
    assert len(detections) == 3
    assert str(detections).splitlines()[0] == 'bird 0.900 [5.0, 6.0, 7.0, 8.0]'


def test_ties_keep_their_order():
    found = Detections.from_arrays(np.zeros((3, 4)), [0.5, 0.5, 0.5], [2, 0, 1], CLASSES, (1, 1))
    assert found.names == ['bird', 'cat', 'dog']


@pytest.mark.parametrize(('threshold', 'names'), [(0, 3), (0.5, 2), (0.51, 1), (1, 0)])
def test_filter(detections, threshold, names):
    kept = detections.filter(threshold)
    assert len(kept) == len(kept.names) == len(kept.boxes) == len(kept.labels) == names
    assert kept.image_size == (30, 40)
    assert len(detections) == 3


def test_nothing_found():
    empty = Detections.from_arrays([], [], [], CLASSES, (5, 6))
    assert empty.boxes.shape == (0, 4)
    assert empty.scores.shape == empty.labels.shape == (0,)
    assert len(empty) == 0
    assert empty.to_coco(1, [1, 2, 3]) == []
    assert str(empty) == 'nothing found'


def test_coco_results(detections):
    first, second, _ = detections.to_coco(7, [18, 44, 62])
    assert first == dict(image_id=7, category_id=62, bbox=[5, 6, 2, 2], score=0.9)
    assert second['bbox'] == [1.5, 2, 1.5, 2.25]
    assert [result['category_id'] for result in detections.to_coco(7)] == [3, 2, 1]


def test_predictions_load_in_pycocotools(detections, tmp_path, capsys):
    from pycocotools.coco import COCO

    predictions = Predictions(CLASSES, [18, 44, 62])
    predictions.add(Path('a/photo.jpg'), detections, drawing='photo.jpg')
    predictions.add(Path('clip.mp4'), detections.filter(0.5), frame=3, fps=25.0)
    path = tmp_path / 'predictions.json'
    path.write_text(json.dumps(predictions.to_dict()))
    coco = COCO(path)
    assert [coco.cats[number]['name'] for number in (18, 44, 62)] == CLASSES
    assert coco.imgs[1] == dict(
        id=1, file_name='a/photo.jpg', width=40, height=30, drawing='photo.jpg'
    )
    assert (coco.imgs[2]['frame'], coco.imgs[2]['time']) == (3, 0.12)
    assert len(coco.getAnnIds(imgIds=1)) == 3
    assert sorted(coco.anns) == [1, 2, 3, 4, 5]
    assert coco.anns[1]['area'] == 4
    results = coco.loadRes(predictions.annotations)
    assert len(results.getAnnIds(catIds=[62])) == 2
