"""Boxes against anchors: the best of all places, and images scaled as for the network."""

import numpy as np
import pytest

from lighthead.data.health.anchors import Anchors, best_overlaps, coverage, scaled_boxes

BASE = np.array([[-16.0, -16, 16, 16], [-32, -16, 32, 16], [-8, -60, 8, 60]])
ANCHORS = Anchors('test', (320, 200), [(16, BASE), (32, BASE * 3)])


def every_overlap(box: np.ndarray, anchors: Anchors) -> float:
    """The best IoU over all places, one by one."""
    best, width, height = 0.0, box[4], box[5]
    for stride, shapes in anchors.levels:
        for x in range(int(np.ceil(width / stride))):
            for y in range(int(np.ceil(height / stride))):
                for shape in shapes + np.array([x, y, x, y]) * stride:
                    sides = np.minimum(box[2:4], shape[2:]) - np.maximum(box[:2], shape[:2])
                    common = np.clip(sides, 0, None).prod()
                    areas = (box[2:4] - box[:2]).prod() + (shape[2:] - shape[:2]).prod()
                    best = max(best, common / (areas - common))
    return best


def test_the_nearest_place_is_the_best():
    rng = np.random.default_rng(0)
    low = rng.uniform(0, 150, (30, 2))
    boxes = np.hstack([low, low + rng.uniform(4, 150, (30, 2)), np.tile([300.0, 190.0], (30, 1))])
    expected = [every_overlap(box, ANCHORS) for box in boxes]
    assert best_overlaps(boxes, ANCHORS) == pytest.approx(expected)


def test_boxes_are_scaled_with_their_image():
    box = dict(id=1, image_id=1, category_id=1, bbox=[10, 20, 30, 40], iscrowd=0)
    content = dict(
        images=[dict(id=1, file_name='a.jpg', width=100, height=400)],
        annotations=[box, box | dict(id=2, iscrowd=1)],
        categories=[dict(id=1, name='a')],
    )
    (scaled,) = scaled_boxes(content, (320, 200))
    assert scaled.tolist() == [8, 16, 32, 48, 80, 320]


def test_coverage_counts_by_size():
    boxes = np.array([[0, 0, 10, 10, 300, 200], [0, 0, 40, 40, 300, 200], [0, 0, 40, 50, 300, 200]])
    rows = coverage(boxes.astype(float), np.array([0.2, 0.6, 0.8]))
    assert rows == [('8 to 16', 1, 0.2, 0.0, 0.0), ('32 to 64', 2, pytest.approx(0.7), 1.0, 0.5)]
