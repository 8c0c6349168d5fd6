"""Data sets of mmdet and wrappers around them: they work, or are refused with the reason."""

import copy
from pathlib import Path

import pytest
from mmdet.registry import DATASETS
from mmengine.runner import Runner

from lighthead.config.check import check_datasets
from lighthead.config.read import read
from lighthead.data.check import check_data
from lighthead.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
MOSAIC = [
    dict(type='Mosaic', img_scale=(64, 64)),
    dict(type='Resize', scale=(64, 64), keep_ratio=True),
    dict(type='PackDetInputs'),
]


@pytest.fixture
def cfg(monkeypatch):
    monkeypatch.chdir(ROOT)
    cfg = copy.deepcopy(read('lighthead_shufflev2star_demo').cfg)
    cfg.train_dataloader.update(num_workers=0, persistent_workers=False, batch_size=2)
    cfg.train_dataloader.dataset.seed = 0
    return cfg


def repeated(dataset: dict) -> dict:
    return dict(type='RepeatDataset', times=3, dataset=dataset)


def mixed(dataset: dict) -> dict:
    inner = dict(dataset, pipeline=dataset['pipeline'][:2])
    return dict(type='MultiImageMixDataset', dataset=inner, pipeline=MOSAIC)


@pytest.mark.parametrize(('wrap', 'times'), [(repeated, 3), (mixed, 1)])
def test_wrappers_work_with_a_note(cfg, wrap, times):
    assert check_datasets(cfg, ('train', 'val')) == []
    cfg.train_dataloader.dataset = wrap(cfg.train_dataloader.dataset)
    (note,) = check_datasets(cfg, ('train', 'val'))
    assert note.startswith(f'train data: {cfg.train_dataloader.dataset.type} ')
    assert len(check_data(cfg).splits) == 2
    loader = Runner.build_dataloader(cfg.train_dataloader, seed=0)
    assert len(loader.dataset) == 100 * times
    batch = next(iter(loader))
    assert len(batch['inputs']) == 2
    assert all(len(sample.gt_instances.bboxes) for sample in batch['data_samples'])


def test_mmdets_own_coco_data_set_works_with_a_note(cfg):
    cfg.train_dataloader.dataset.type = 'CocoDataset'
    assert len(check_datasets(cfg, ('train',))) == 1


def test_other_formats_are_refused_with_the_way_out(cfg):
    assert DATASETS.get('VOCDataset')
    cfg.train_dataloader.dataset.type = 'VOCDataset'
    with pytest.raises(UserError, match=r'VOCDataset does not read COCO annotations.*--data-root'):
        check_datasets(cfg, ('train', 'val'))
