"""Detections: sorted, sliced, filtered, suppressed, and in the forms of other libraries."""

import json

import cv2
import numpy as np
import pandas as pd
import pytest
import supervision as sv
from PIL import Image

from lighthead.errors import UserError
from lighthead.inference import conversions
from lighthead.inference.results import Detection, Detections
from lighthead.inference.suppression import greedy_suppression

CLASSES = ['cat', 'dog', 'bird']


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)


@pytest.fixture
def detections(image) -> Detections:
    """Three detections, given out of order."""
    return Detections.from_arrays(
        boxes=[[0, 0, 10, 20], [5, 6, 7, 8], [1.5, 2, 3, 4.25]],
        scores=[0.2, 0.9, 0.5],
        labels=[0, 2, 1],
        classes=CLASSES,
        image_size=(30, 40),
        source=image,
    )


def test_sorted_by_score(detections):
    assert detections.names == ['bird', 'dog', 'cat']
    np.testing.assert_allclose(detections.scores, [0.9, 0.5, 0.2])
    np.testing.assert_array_equal(detections.labels, [2, 1, 0])
    np.testing.assert_array_equal(detections.boxes[0], [5, 6, 7, 8])
    assert (detections.boxes.dtype, detections.labels.dtype) == (np.float32, np.int64)
    assert len(detections) == 3
    assert detections.best_score == pytest.approx(0.9)
    assert str(detections).splitlines()[0] == 'bird 0.900 [5.0, 6.0, 7.0, 8.0]'


def test_ties_keep_their_order():
    ties = Detections.from_arrays(np.zeros((3, 4)), [0.5, 0.5, 0.5], [2, 0, 1], CLASSES, (1, 1))
    assert ties.names == ['bird', 'cat', 'dog']


@pytest.mark.parametrize(
    ('arguments', 'names'),
    [
        (dict(), ['bird', 'dog', 'cat']),
        (dict(score_thr=0.5), ['bird', 'dog']),
        (dict(score_thr=0.51), ['bird']),
        (dict(score_thr=1), []),
        (dict(names='dog'), ['dog']),
        (dict(names=['cat', 'bird'], score_thr=0.3), ['bird']),
        (dict(names=[]), []),
    ],
)
def test_filter(detections, arguments, names):
    kept = detections.filter(**arguments)
    assert kept.names == names
    assert len(kept) == len(kept.names) == len(kept.boxes) == len(kept.labels)
    assert kept.image_size == (30, 40)
    assert kept.best_score == detections.best_score
    assert len(detections) == 3


@pytest.mark.parametrize(
    ('index', 'names'),
    [
        (slice(1), ['bird']),
        (slice(None, None, -1), ['cat', 'dog', 'bird']),
        ([2, 0], ['cat', 'bird']),
        (np.array([False, True, True]), ['dog', 'cat']),
        ([], []),
    ],
)
def test_slices(detections, index, names):
    assert detections[index].names == names


def test_single_detections(detections):
    first = detections[0]
    assert isinstance(first, Detection)
    assert (first.score, first.label, first.name) == (pytest.approx(0.9), 2, 'bird')
    assert first.track_id is None
    assert [one.name for one in detections] == detections.names
    assert detections[-1].name == 'cat'
    with pytest.raises(IndexError):
        detections[3]


@pytest.mark.parametrize(
    ('boxes', 'iou_thr', 'kept'),
    [
        ([[0, 0, 10, 10], [0, 0, 10, 10], [20, 0, 30, 10]], 0.5, [0, 2]),
        ([[0, 0, 10, 10], [0, 0, 10, 5]], 0.5, [0, 1]),
        ([[0, 0, 10, 10], [0, 0, 10, 5]], 0.49, [0]),
        ([[0, 0, 10, 10], [5, 0, 15, 10], [10, 0, 20, 10]], 0.3, [0, 2]),
        ([[0, 0, 0, 0], [0, 0, 0, 0]], 0.5, [0, 1]),
        (np.zeros((0, 4)), 0.5, []),
    ],
)
def test_greedy_suppression(boxes, iou_thr, kept):
    boxes = np.array(boxes, np.float32)
    assert greedy_suppression(boxes, iou_thr).tolist() == kept


def test_nothing():
    empty = Detections.from_arrays([], [], [], CLASSES, (5, 6))
    assert empty.boxes.shape == (0, 4)
    assert empty.scores.shape == empty.labels.shape == (0,)
    assert len(empty) == len(empty.suppress()) == len(empty.filter(names=['cat'])) == 0
    assert empty.to_coco(1, [1, 2, 3]) == empty.to_list() == list(empty) == []
    assert str(empty) == '0 detections'
    assert len(empty.to_supervision()) == len(empty.to_dataframe()) == 0


def test_coco_results(detections):
    first, second, _ = detections.to_coco(7, [18, 44, 62])
    assert first == dict(image_id=7, category_id=62, bbox=[5, 6, 2, 2], score=0.9)
    assert second['bbox'] == [1.5, 2, 1.5, 2.25]
    assert [result['category_id'] for result in detections.to_coco(7)] == [3, 2, 1]


def test_transformers_form(detections):
    first = detections.to_list()[0]
    assert first['label'] == 'bird'
    assert first['score'] == pytest.approx(0.9)
    assert first['box'] == dict(xmin=5.0, ymin=6.0, xmax=7.0, ymax=8.0)


def test_json(detections):
    assert json.loads(detections.to_json()) == dict(
        width=40,
        height=30,
        boxes=[[5, 6, 7, 8], [1.5, 2, 3, 4.25], [0, 0, 10, 20]],
        scores=[0.9, 0.5, 0.2],
        labels=[2, 1, 0],
        names=['bird', 'dog', 'cat'],
    )


def test_dataframe(detections):
    frame = detections.to_dataframe()
    assert isinstance(frame, pd.DataFrame)
    assert list(frame.columns) == ['name', 'score', 'label', 'x1', 'y1', 'x2', 'y2']
    assert frame.loc[1].tolist() == ['dog', 0.5, 1, 1.5, 2.0, 3.0, 4.25]


def test_supervision(detections):
    converted = detections.to_supervision()
    assert isinstance(converted, sv.Detections)
    np.testing.assert_array_equal(converted.xyxy, detections.boxes)
    np.testing.assert_array_equal(converted.confidence, detections.scores)
    assert converted.class_id.tolist() == [2, 1, 0]
    assert converted['class_name'].tolist() == ['bird', 'dog', 'cat']
    assert converted.tracker_id is None


def test_missing_packages_are_named(detections, monkeypatch):
    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(conversions.importlib, 'import_module', missing)
    with pytest.raises(UserError, match=r"pandas is not installed: pip install 'lighthead\[res"):
        detections.to_dataframe()


def test_crops(detections, image):
    crops = detections.crop()
    assert [part.shape for part in crops] == [(2, 2, 3), (3, 2, 3), (20, 10, 3)]
    np.testing.assert_array_equal(crops[0], image[6:8, 5:7])
    edge = Detections.from_arrays([[40, 30, 40, 30]], [1], [0], CLASSES, (30, 40))
    assert edge.crop(image)[0].shape == (1, 1, 3)


def test_images_are_drawn_and_saved(detections, image, tmp_path):
    before = image.copy()
    drawn = detections.plot()
    np.testing.assert_array_equal(image, before)
    assert (drawn != image).any()
    detections.save(tmp_path / 'drawn.png')
    np.testing.assert_array_equal(cv2.imread(str(tmp_path / 'drawn.png')), drawn)
    from_pillow = detections.plot(Image.fromarray(image[..., ::-1]))
    np.testing.assert_array_equal(from_pillow, drawn)


def test_images_that_do_not_fit(detections, image, tmp_path):
    without = Detections.from_arrays([[0, 0, 1, 1]], [1], [0], CLASSES, (30, 40))
    with pytest.raises(UserError, match='hold no image'):
        without.plot()
    with pytest.raises(UserError, match='belong to one of 30 x 40'):
        without.crop(image[:20])
    with pytest.raises(UserError, match=r'try \.jpg'):
        detections.save(tmp_path / 'drawn.xyz')
    with pytest.raises(UserError, match='cannot be written'):
        detections.save(tmp_path / 'nowhere' / 'drawn.png')
    assert not list(tmp_path.iterdir())
