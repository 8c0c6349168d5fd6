"""Drawings, by their pixels."""

from itertools import pairwise

import numpy as np
import pytest

from lighthead.inference import drawing, text
from lighthead.inference.drawing import Rect, class_colour, draw_detections
from lighthead.inference.results import Detections


def _detections(boxes, names, size, scores=None) -> Detections:
    scores = np.linspace(0.9, 0.5, len(boxes)) if scores is None else scores
    return Detections.from_arrays(boxes, scores, range(len(boxes)), names, size)


@pytest.mark.parametrize('size', [(24, 32), (240, 320), (1500, 2000), (20, 900), (900, 20)])
def test_box_and_label_are_in_the_colour_of_the_class(size):
    height, width = size
    image = np.full((height, width, 3), 128, np.uint8)
    box = [width * 0.25, height * 0.5, width * 0.75, height * 0.9]
    drawn = draw_detections(image, _detections([box], ['cat'], size))
    assert drawn.shape == image.shape
    assert drawn.dtype == np.uint8
    assert (image == 128).all(), 'the input is left alone'
    colour = class_colour(0)
    x1, y1, x2, y2 = (round(value) for value in box)
    corners = [(y1, x2), (y2, x1), (y2, x2)]
    on_box = sum((drawn[y, x] == colour).all() for y, x in corners)
    assert on_box >= 1 if min(size) < 30 else on_box == 3
    assert (drawn == colour).all(axis=2).sum() > (x2 - x1) + (y2 - y1)


def test_label_has_readable_text_above_the_box():
    image = np.zeros((240, 320, 3), np.uint8)
    drawn = draw_detections(image, _detections([[50, 100, 200, 200]], ['cat'], (240, 320)))
    label = drawn[85:99, 50:110].reshape(-1, 3)
    background = (label == class_colour(0)).all(axis=1).mean()
    text = label.astype(float).mean(axis=1)
    assert 0.3 < background < 0.95
    assert np.abs(text - np.mean(class_colour(0))).max() > 80
    inside = drawn[105:195, 60:190]
    assert (inside == 0).all()


def test_lines_and_text_grow_with_the_picture():
    def covered(scale: int) -> float:
        size = (240 * scale, 320 * scale)
        box = [[50 * scale, 100 * scale, 200 * scale, 200 * scale]]
        drawn = draw_detections(np.zeros((*size, 3), np.uint8), _detections(box, ['cat'], size))
        return (drawn.sum(axis=2) > 0).mean()

    assert covered(10) == pytest.approx(covered(2), rel=0.25)


def test_colours_are_distinct_and_stable():
    colours = [class_colour(label) for label in range(24)]
    assert len(set(colours)) == 24
    for first, second in pairwise(colours):
        assert np.abs(np.subtract(first, second)).sum() > 100
    assert class_colour(3) == colours[3]


def test_labels_keep_out_of_each_others_way(monkeypatch):
    places = []
    paint = drawing._paint_label
    monkeypatch.setattr(
        drawing,
        '_paint_label',
        lambda canvas, place, *rest: (places.append(place), paint(canvas, place, *rest)),
    )
    box = [100, 150, 300, 350]
    image = np.zeros((480, 640, 3), np.uint8)
    draw_detections(image, _detections([box] * 4, ['a', 'b', 'c', 'd'], (480, 640)))
    assert len(places) == 4
    for index, place in enumerate(places):
        assert not any(place.overlaps(other) for other in places[:index])
        assert place.x1 >= 0
        assert place.y1 >= 0
        assert place.x2 <= 640
        assert place.y2 <= 480


def test_rect_overlap():
    assert Rect(0, 0, 2, 2).overlaps(Rect(1, 1, 3, 3))
    assert not Rect(0, 0, 2, 2).overlaps(Rect(2, 0, 3, 2))


@pytest.mark.parametrize('name', ['Straßenbahn', 'кошка', 'γάτα', 'ﾈｺ', '狗', '猫🐈', '�'])
def test_names_in_any_script(name):
    """Characters are drawn as themselves, or the class's number stands in: never a '?'."""
    path = text.font_for(name)
    mask = text.text_mask(f'{name} 0.90', '#0 0.90', 20)
    question_marks = text.text_mask('?' * len(name) + ' 0.90', '', 20)
    assert mask.sum() > 0
    if path is None:
        np.testing.assert_array_equal(mask, text.text_mask('#0 0.90', '', 20))
    else:
        assert set(map(ord, name)) <= text.characters_of(path)
        assert mask.shape != question_marks.shape or not np.array_equal(mask, question_marks)


@pytest.mark.parametrize('name', ['Straßenbahn', 'кошка', 'γάτα'])
def test_european_scripts_need_no_font_of_the_system(name):
    assert text.font_for(name) == text.default_font()


@pytest.mark.parametrize(
    'box', [[-50, -50, 5000, 5000], [0, 0, 0, 0], [639, 479, 640, 480], [10, 470, 20, 480]]
)
def test_boxes_at_and_beyond_the_border(box):
    image = np.zeros((480, 640, 3), np.uint8)
    drawn = draw_detections(image, _detections([box], ['cat'], (480, 640)))
    assert (drawn == class_colour(0)).all(axis=2).sum() > 100


def test_nothing_found_changes_nothing():
    image = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    drawn = draw_detections(image, Detections.from_arrays([], [], [], [], (20, 30)))
    np.testing.assert_array_equal(drawn, image)
    assert drawn is not image
