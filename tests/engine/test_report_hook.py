"""The page at the end of a training is of the best validation, and cannot spoil the training."""

import json
import logging
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData

from lighthead.config.flags import set_no_report
from lighthead.config.read import read
from lighthead.engine.report_hook import PAGE, PREDICTIONS, ReportHook
from lighthead.evaluation import CocoDetMetric, ValidationImagesHook

from ..evaluation.analysis.scenes import CLASSES, scene


class Hub:
    """What the checkpoint hook says of the best validation."""

    best = None

    def get_info(self, key: str, default: object) -> object:
        return self.best or default


@pytest.fixture
def runner(tmp_path: Path) -> SimpleNamespace:
    """What the hooks see of a runner, with a metric over a scene."""
    ann_file, _ = scene(tmp_path / 'data', images=6)
    metric = CocoDetMetric(ann_file=str(ann_file))
    metric.dataset_meta = dict(classes=list(CLASSES.values()))
    data = SimpleNamespace(metainfo=metric.dataset_meta, data_prefix=dict(img=str(tmp_path)))
    return SimpleNamespace(
        work_dir=str(tmp_path),
        epoch=1,
        iter=4,
        message_hub=Hub(),
        val_loop=SimpleNamespace(evaluator=SimpleNamespace(metrics=[metric])),
        val_dataloader=SimpleNamespace(dataset=data),
        train_dataloader=SimpleNamespace(dataset=[0] * 5),
        cfg=SimpleNamespace(filename='my.py', model={}, get=lambda key: None),
        model=torch.nn.Linear(2, 3),
        logger=logging.getLogger('test'),
    )


def validate(hook: ReportHook, runner: SimpleNamespace, score: float, best: int) -> None:
    """A validation after which the best one is that of epoch ``best``."""
    hook.before_val(runner)
    (metric,) = runner.val_loop.evaluator.metrics
    box = dict(img_id=0, bboxes=np.array([[1, 1, 9, 9]]), scores=np.array([score]), labels=[0])
    metric.compute_metrics([(dict(img_id=0), box)])
    runner.message_hub.best = dict(epoch=best)
    hook.after_val_epoch(runner)
    runner.epoch += 1


def test_the_page_is_of_the_best_validation(runner):
    hook, work_dir = ReportHook(), Path(runner.work_dir)
    for score, best in ((0.25, 1), (0.5, 2), (0.75, 2)):
        validate(hook, runner, score, best)
    hook.after_train(runner)
    (kept,) = json.loads((work_dir / PREDICTIONS).read_text())
    assert kept['score'] == 0.5
    assert 'validated after epoch' in (work_dir / PAGE).read_text()
    assert not list(work_dir.glob('last_*'))


def test_a_page_that_fails_is_a_warning(runner, caplog):
    hook = ReportHook()
    validate(hook, runner, 0.5, 1)
    (Path(runner.work_dir) / PREDICTIONS).write_text('{')
    hook.after_train(runner)
    assert 'could not be written' in caplog.text
    assert not (Path(runner.work_dir) / PAGE).exists()


def test_without_validation_there_is_no_page(runner):
    runner.val_loop = None
    ReportHook().after_train(runner)
    assert not (Path(runner.work_dir) / PAGE).exists()


def test_the_flag_switches_it_off():
    cfg = read('lighthead_shufflev2star', [lambda cfg: set_no_report(cfg, True)]).cfg
    assert 'report' not in cfg.default_hooks
    assert read('lighthead_shufflev2star').cfg.default_hooks.report.type == 'ReportHook'


def test_a_validation_gives_a_picture_of_labelled_and_detected_boxes(runner, tmp_path):
    path = tmp_path / 'grey.png'
    cv2.imwrite(str(path), np.full((160, 320, 3), 128, np.uint8))
    info = dict(img_id=7, instances=[dict(bbox=[20, 20, 90, 90], bbox_label=0, ignore_flag=0)])
    members = dict(
        metainfo=runner.val_dataloader.dataset.metainfo,
        get_data_info=lambda _, index: info,
        __len__=lambda _: 1,
    )
    runner.val_dataloader.dataset = type('Data', (), members)()
    found = InstanceData(
        bboxes=torch.tensor([[200.0, 20, 300, 90], [1, 1, 9, 9]]),
        scores=torch.tensor([0.9, 0.1]),
        labels=torch.tensor([1, 1]),
    )
    sample = SimpleNamespace(
        img_path=str(path), img_id=7, pred_instances=found, ori_shape=(160, 320)
    )
    shown = []
    runner.visualizer = SimpleNamespace(
        add_image=lambda name, image, step: shown.append((name, image, step))
    )
    hook = ValidationImagesHook(count=1)
    hook.before_val_epoch(runner)
    hook.after_val_iter(runner, 0, None, [sample, sample])
    hook.after_val_epoch(runner)
    ((name, image, step),) = shown
    assert (name, step, image.shape) == ('val_images', 1, (320, 640, 3))
    marked = (image[:160] != 128).any(2)
    assert marked[90, 20:90].all(), 'the labelled box, on the left'
    assert not marked[:160, 200:310].any()
    assert marked[90, 520:620].all(), 'the detection, on the right'
    assert not marked[1:9, 321:329].any(), 'the weak one is left out'
