"""``lighthead report``: from files and checkpoints to a page; what does not go together."""

import json

import cv2
import numpy as np
import pytest

from lighthead.commands.report_job import report
from lighthead.errors import UserError

from ..command_line import parse
from ..evaluation.analysis.scenes import scene
from ..small_detector import CATEGORY_IDS, CLASSES, small_config, write_checkpoint


def test_files_become_a_page(tmp_path):
    ann_file, found = scene(tmp_path)
    out = tmp_path / 'new' / 'page.html'
    args = parse('report', predictions=found, annotations=ann_file, out=out)
    assert report(args) == out
    assert 'never there' in out.read_text()


def test_two_files_are_compared(tmp_path):
    ann_file, found = scene(tmp_path)
    other = tmp_path / 'other.json'
    other.write_text(json.dumps(json.loads(found.read_text())[::2]))
    args = parse('report', annotations=ann_file, out=tmp_path / 'page.html')
    args.compare = [str(found), str(other)]
    assert 'found and other' in report(args).read_text()


def test_a_checkpoint_is_tested_and_reported_on(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'data' / 'val').mkdir(parents=True)
    (tmp_path / 'data' / 'annotations').mkdir()
    rng = np.random.default_rng(0)
    content = dict(images=[], annotations=[], categories=[])
    content['categories'] = [
        dict(id=i, name=name) for i, name in zip(CATEGORY_IDS, CLASSES, strict=True)
    ]
    for number in range(3):
        name = f'{number}.png'
        cv2.imwrite(f'data/val/{name}', rng.integers(0, 255, (128, 160, 3), np.uint8))
        content['images'].append(dict(id=number, file_name=name, width=160, height=128))
        box = dict(bbox=[10, 10, 50, 40], area=2000, iscrowd=0, category_id=CATEGORY_IDS[number])
        content['annotations'].append(box | dict(id=number + 1, image_id=number))
    (tmp_path / 'data' / 'annotations' / 'instances_val.json').write_text(json.dumps(content))
    checkpoint = write_checkpoint(small_config(), tmp_path / 'small.pth')
    page = report(parse('report', checkpoint, data_root='data', work_dir='run', workers=0))
    assert (page.parent.name, page.name) == ('run', 'report.html')
    text = page.read_text()
    for fact in ('multiply-adds', 'speed', 'small.pth', 'Stra\u00dfenbahn', 'worst: '):
        assert fact in text
    figures = json.loads((page.parent / 'metrics.json').read_text())
    assert f'<td class="">{figures["coco/bbox_mAP"]:.3f}</td>' in text


@pytest.mark.parametrize(
    ('flags', 'message'),
    [
        ({}, 'Give one of'),
        ({'predictions': 'a.json'}, 'needs --annotations'),
        ({'predictions': 'a.json', 'annotations': 'b.json', 'data_root': 'd'}, 'give one of them'),
        ({'predictions': 'a.json', 'out': 'page.jpg'}, 'ends in .html'),
        ({'predictions': 'a.json', 'out': '/dev/null/x/page.html'}, 'cannot be written'),
    ],
)
def test_what_does_not_go_together_is_refused(tmp_path, monkeypatch, flags, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=message):
        report(parse('report', **flags))
    with pytest.raises(UserError, match='Give one of'):
        report(parse('report', 'a', 'b', 'c'))
