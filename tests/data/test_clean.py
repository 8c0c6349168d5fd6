"""Boxes are cleaned the same way for training and evaluation."""

import copy
import json
import math
from pathlib import Path

import pytest

from lighthead.data.clean import clean_box, clean_boxes
from lighthead.data.clean_coco import CleanCOCO

INF, NAN = math.inf, math.nan


@pytest.mark.parametrize(
    ('box', 'expected', 'verdict'),
    [
        ([1, 2, 3, 4], [1, 2, 3, 4], 'kept'),
        ([0, 0, 100, 50], [0, 0, 100, 50], 'kept'),
        ([90.05, 2, 10, 4], [90.05, 2, 10, 4], 'kept'),  # rounding, as in COCO
        ([1, 2, 0.5, 4], [1, 2, 0.5, 4], 'kept'),
        ([-5, -5, 20, 20], [0, 0, 15, 15], 'clipped'),
        ([90, 40, 20, 20], [90, 40, 10, 10], 'clipped'),
        ([-5, -5, 500, 500], [0, 0, 100, 50], 'clipped'),
        ([100, 2, 3, 4], None, 'outside'),
        ([2, -9, 3, 9], None, 'outside'),
        ([99.5, 2, 30, 4], None, 'outside'),  # less than a pixel is left
        ([1, 2, 0, 4], None, 'no_area'),
        ([1, 2, -3, 4], None, 'no_area'),
        ([NAN, 2, 3, 4], None, 'not_numbers'),
        ([1, 2, INF, 4], None, 'not_numbers'),
        ([1, 2, 3], None, 'not_numbers'),
        ([1, 2, '3', 4], None, 'not_numbers'),
        (None, None, 'not_numbers'),
        ('1234', None, 'not_numbers'),
        ([1, 2, 10**400, 4], None, 'not_numbers'),
    ],
)
def test_clean_box(box: object, expected: list | None, verdict: str) -> None:
    assert clean_box(box, width=100, height=50) == (expected, verdict)


def test_box_of_an_image_without_size_is_left_alone() -> None:
    assert clean_box([-5, -5, 20, 20], None, None) == ([-5, -5, 20, 20], 'kept')


def content_of(*annotations: dict) -> dict:
    return dict(
        images=[dict(id=1, file_name='a.jpg', width=100, height=50)],
        annotations=[dict(image_id=1, category_id=3, **a) for a in annotations],
        categories=[dict(id=9, name='late'), dict(id=3, name='early')],
    )


def test_areas_and_crowds() -> None:
    content = content_of(
        dict(id=1, bbox=[0, 0, 10, 10], area=60, iscrowd=1),
        dict(id=2, bbox=[90, 0, 20, 10], area=190, segmentation=[[90, 0, 110, 0, 110, 10]]),
        dict(id=3, bbox=[0, 0, 10, 10]),
        dict(id=4, bbox=[0, 0, 10, 10], area=NAN),
    )
    before = copy.deepcopy(content['annotations'][:3])
    cleaned, report = clean_boxes(content)
    assert [a['area'] for a in cleaned['annotations']] == [60, 100, 100, 100]
    assert [a['iscrowd'] for a in cleaned['annotations']] == [1, 0, 0, 0]
    assert (report.kept, report.crowd, report.clipped, report.dropped) == (4, 1, 1, 0)
    assert content['annotations'][:3] == before
    assert not any('segmentation' in a for a in cleaned['annotations'])
    assert str(report) == '4 boxes, 1 of them crowds, 1 clipped to the image'


@pytest.mark.parametrize(
    ('value', 'crowd'),
    [(1, 1), (True, 1), ('1', 1), (2.0, 1), (0, 0), (None, 0), ('0', 0)]
    + [(odd, 0) for odd in (NAN, INF, 10**400, [1], {'a': 1}, 'x')],
)
def test_odd_values_of_iscrowd(value: object, crowd: int) -> None:
    cleaned, _ = clean_boxes(content_of(dict(id=1, bbox=[0, 0, 9, 9], iscrowd=value)))
    assert cleaned['annotations'][0]['iscrowd'] == crowd


def test_annotation_ids_that_pycocotools_cannot_match_are_renumbered() -> None:
    cleaned, report = clean_boxes(
        content_of(dict(id=0, bbox=[0, 0, 9, 9]), dict(bbox=[0, 0, 9, 9]))
    )
    assert [a['id'] for a in cleaned['annotations']] == [1, 2]
    assert 'renumbered' in str(report)


def test_category_ids_follow_the_names_asked_for(tmp_path: Path) -> None:
    path = tmp_path / 'a.json'
    path.write_text(
        json.dumps(content_of(dict(id=1, bbox=[0, 0, 9, 9]), dict(id=2, bbox=[0, 0, 0, 9])))
    )
    coco = CleanCOCO(path)
    assert coco.get_cat_ids() == [9, 3]
    assert coco.get_cat_ids(cat_names=['early', 'late']) == [3, 9]
    assert coco.category_ids(['early', 'none', 'late']) == [3, None, 9]
    assert list(coco.anns) == [1]
    assert coco.cat_img_map[3] == [1]
    assert coco.report.no_area == 1
