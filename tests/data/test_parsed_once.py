"""Inside a run, each annotation file is parsed once; what is read is what it would be otherwise."""

import json
from collections import Counter
from pathlib import Path

import pytest
from mmdet.registry import DATASETS, METRICS
from mmengine.config import Config

from lighthead.data import clean
from lighthead.data.check import check_data
from lighthead.data.clean import load_coco_json
from lighthead.data.clean_coco import CleanCOCO
from lighthead.data.layout import apply_data_root
from lighthead.data.parsed_once import parsed_once

DEMO = Path(__file__).resolve().parents[2] / 'data/demo'
CONFIG = DEMO.parents[1] / 'configs/lighthead_shufflev2star_demo.py'


@pytest.fixture
def parsed(monkeypatch) -> Counter:
    """How often each file was parsed."""
    counts: Counter = Counter()
    parse = clean._parse

    def counting(path):
        counts[path.name] += 1
        return parse(path)

    monkeypatch.setattr(clean, '_parse', counting)
    return counts


def steps_of_a_training() -> tuple:
    """What reads annotations in a training, in its order."""
    cfg = Config.fromfile(CONFIG)
    apply_data_root(cfg, DEMO)
    summary = check_data(cfg).summary()
    train = DATASETS.build(cfg.train_dataloader.dataset)
    val = DATASETS.build(cfg.val_dataloader.dataset)
    metric = METRICS.build(cfg.val_evaluator)
    boxes = [train.get_data_info(i)['instances'] for i in range(len(train))]
    return summary, boxes, len(val), metric._coco_api.anns


def test_once_per_split(parsed):
    alone = steps_of_a_training()
    assert parsed == {'instances_train.json': 3, 'instances_val.json': 4}
    parsed.clear()
    with parsed_once():
        assert steps_of_a_training() == alone
    assert parsed == {'instances_train.json': 1, 'instances_val.json': 1}


def test_nothing_is_kept_after_the_last_reader(tmp_path):
    from lighthead.data import parsed_once as module

    with parsed_once():
        steps_of_a_training()
        assert module._files == {}
    assert module._files is None


def test_a_changed_file_is_read_again(tmp_path, parsed):
    path = tmp_path / 'x.json'
    box = dict(id=1, image_id=1, category_id=1, bbox=[1, 1, 5, 5], segmentation=[[1, 1, 2, 2]])
    image = dict(id=1, file_name='a.jpg', width=9, height=9)
    content = dict(images=[image], categories=[dict(id=1, name='x')], annotations=[box])
    path.write_text(json.dumps(content))
    assert 'segmentation' in load_coco_json(path)['annotations'][0]
    with parsed_once():
        assert 'segmentation' not in load_coco_json(path)['annotations'][0]
        assert load_coco_json(path) is load_coco_json(path)
        path.write_text(json.dumps(content | dict(annotations=[])))
        assert len(CleanCOCO(path).anns) == 0
    assert parsed['x.json'] == 3


def test_blocks_inside_each_other(parsed):
    path = DEMO / 'annotations/instances_val.json'
    with parsed_once():
        first = load_coco_json(path)
        with parsed_once():
            assert load_coco_json(path) is first
        assert load_coco_json(path) is first
    assert load_coco_json(path) is not first
