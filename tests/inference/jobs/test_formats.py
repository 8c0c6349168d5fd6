"""What ``--format`` writes, from one journal."""

import csv
import json

import pyarrow.parquet as pq
import pytest
from pycocotools.coco import COCO

from lighthead.errors import UserError
from lighthead.inference.jobs.formats import FORMATS, check_formats
from lighthead.inference.jobs.journal import Journal

JOB = dict(classes=['cat', 'dog'], category_ids=[18, 44])
IMAGE = dict(path='a/photo.jpg', width=40, height=30, drawing='photo.jpg')
RECORDS = [
    IMAGE
    | dict(boxes=[[5, 6, 7, 8], [0, 0, 10, 20]], scores=[0.9, 0.2], labels=[1, 0])
    | dict(names=['dog', 'cat']),
    dict(path='b/photo.jpg', width=4, height=3, boxes=[], scores=[], labels=[], names=[]),
    dict(path='clip.mp4', width=40, height=30, boxes=[[1.5, 2, 3, 4.25]], scores=[0.5])
    | dict(labels=[0], names=['cat'], track_ids=[7], frame=3, time=0.12),
    dict(path='clip.mp4', frames=4, failed_frames=0),
]


@pytest.fixture
def write(tmp_path):
    journal = Journal(tmp_path / 'predictions.jsonl')
    for record in RECORDS:
        journal.append(record)
    journal.close()
    return lambda name, job=JOB: FORMATS[name](tmp_path / 'predictions.jsonl', tmp_path, job)


def test_coco_loads_in_pycocotools(write):
    coco = COCO(write('coco'))
    assert [coco.cats[number]['name'] for number in (18, 44)] == JOB['classes']
    assert coco.imgs[1] == dict(
        id=1, file_name='a/photo.jpg', width=40, height=30, drawing='photo.jpg'
    )
    assert (coco.imgs[3]['frame'], coco.imgs[3]['time']) == (3, 0.12)
    assert sorted(coco.anns) == [1, 2, 3]
    assert coco.anns[1] | dict() == dict(
        id=1, image_id=1, category_id=44, bbox=[5, 6, 2, 2], score=0.9, area=4, iscrowd=0
    )
    assert coco.anns[3]['track_id'] == 7
    results = coco.loadRes(coco.dataset['annotations'])
    assert len(results.getAnnIds(catIds=[18])) == 2


def test_category_ids_that_the_data_did_not_have(write):
    content = json.loads(write('coco', JOB | dict(category_ids=[None, None])).read_text())
    assert [category['id'] for category in content['categories']] == [1, 2]
    assert content['annotations'][0]['category_id'] == 2


def test_json(write):
    assert json.loads(write('json').read_text()) == RECORDS[:3]


def test_jsonl_is_the_journal(write):
    lines = write('jsonl').read_text().splitlines()
    assert [json.loads(line) for line in lines] == RECORDS


def test_csv(write):
    with open(write('csv'), newline='') as file:
        rows = list(csv.DictReader(file))
    assert [row['name'] for row in rows] == ['dog', 'cat', 'cat']
    assert rows[0]['path'] == 'a/photo.jpg'
    assert [float(rows[0][key]) for key in ('x1', 'y1', 'x2', 'y2')] == [5, 6, 7, 8]
    assert (rows[2]['frame'], rows[2]['time'], rows[2]['track_id']) == ('3', '0.12', '7')


def test_yolo(write, tmp_path):
    folder = write('yolo')
    assert (tmp_path / 'classes.txt').read_text() == 'cat\ndog\n'
    files = {path.name: path.read_text().splitlines() for path in folder.iterdir()}
    assert sorted(files) == ['clip_000003.txt', 'photo.txt', 'photo_2.txt']
    assert files['photo_2.txt'] == []
    assert len(files['photo.txt']) == 2
    label, *numbers = files['photo.txt'][0].split()
    assert label == '1'
    assert [float(n) for n in numbers] == pytest.approx(
        [6 / 40, 7 / 30, 2 / 40, 2 / 30, 0.9], abs=1e-6
    )


def test_parquet(write):
    table = pq.read_table(write('parquet'))
    assert table.num_rows == 3
    rows = table.to_pylist()
    assert rows[0]['boxes'] == [[5, 6, 7, 8], [0, 0, 10, 20]]
    assert rows[0]['names'] == ['dog', 'cat']
    assert rows[1]['boxes'] == []
    assert (rows[2]['frame'], rows[2]['track_ids']) == (3, [7])


def test_unknown_formats():
    assert check_formats('coco, csv') == ['coco', 'csv']
    with pytest.raises(UserError, match='choose from coco, json, jsonl, csv, yolo, parquet'):
        check_formats('coco,xml')
