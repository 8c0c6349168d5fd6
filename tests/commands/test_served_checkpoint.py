"""What a training leaves can be used: without a val split, with the user's own hook, by itself."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config

from lighthead import Detector
from lighthead.commands.test_job import test as evaluate
from lighthead.commands.train_job import train
from lighthead.config.check import check_training
from lighthead.config.read import RunConfig
from lighthead.errors import UserError

from ..command_line import parse

DEMO = Path(__file__).resolve().parents[2] / 'configs' / 'lighthead_shufflev2star_demo.py'
HOOK = """
from pathlib import Path
from mmengine.hooks import Hook
from mmengine.registry import HOOKS

@HOOKS.register_module(force=True)
class OwnHook(Hook):
    def __init__(self, marker):
        self.marker = marker
    def before_train(self, runner):
        Path(self.marker).touch()
"""
CONFIG = """
_base_ = {base!r}
custom_imports = dict(imports=['lighthead', 'own_hook_of_a_user'], allow_failed_imports=False)
custom_hooks = [dict(type='OwnHook', marker={marker!r})]
train_cfg = dict(max_epochs=1, val_interval=1)
param_scheduler = []
train_dataloader = dict(num_workers=0, persistent_workers=False)
val_dataloader = dict(num_workers=0, persistent_workers=False)
test_dataloader = val_dataloader
model = dict(
    backbone=dict(act_cfg=dict(type='LeakyReLU', negative_slope=0.1)),
    data_preprocessor=dict(mean=[0.0] * 3, std=[255.0] * 3, bgr_to_rgb=False),
    test_cfg=dict(rpn=dict(nms_pre=50, max_per_img=20), rcnn=dict(score_thr=0.0)),
)
"""


def write_split(root: Path, name: str, count: int) -> None:
    """A split in COCO layout: a bright square in each picture of 64 x 64."""
    (root / name).mkdir(parents=True)
    (root / 'annotations').mkdir(exist_ok=True)
    images, annotations = [], []
    rng = np.random.default_rng(count)
    for number in range(1, count + 1):
        picture = rng.integers(0, 90, (64, 64, 3), dtype=np.uint8)
        x, y = (int(value) for value in rng.integers(2, 30, 2))
        picture[y : y + 30, x : x + 30] = 220
        cv2.imwrite(str(root / name / f'{number}.png'), picture)
        images.append(dict(id=number, file_name=f'{number}.png', width=64, height=64))
        box = dict(bbox=[x, y, 30, 30], area=900, iscrowd=0)
        annotations.append(dict(id=number, image_id=number, category_id=5, **box))
    content = dict(images=images, annotations=annotations, categories=[dict(id=5, name='square')])
    (root / 'annotations' / f'instances_{name}.json').write_text(json.dumps(content))


@pytest.fixture(scope='module')
def folder(tmp_path_factory) -> Path:
    """``train_only``, ``both``: data sets; ``config.py``: of a user with a hook of their own."""
    root = tmp_path_factory.mktemp('served')
    write_split(root / 'train_only', 'train', 6)
    write_split(root / 'both', 'train', 6)
    write_split(root / 'both', 'val', 3)
    (root / 'own_hook_of_a_user.py').write_text(HOOK)
    text = CONFIG.format(base=str(DEMO), marker=str(root / 'hook_ran'))
    (root / 'config.py').write_text(text)
    return root


@pytest.fixture(scope='module')
def checkpoint(folder: Path) -> Path:
    """Of a training without a val split."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        train(
            parse(
                'train', folder / 'config.py', data_root=folder / 'train_only',
                work_dir=folder / 'run', from_scratch=True,
            )
        )  # fmt: skip
    assert (folder / 'hook_ran').exists()
    return folder / 'run' / 'epoch_1.pth'


def test_it_detects(checkpoint: Path, folder: Path) -> None:
    detector = Detector(checkpoint, device='cpu', score_thr=0.0)
    assert detector.classes == ['square']
    assert detector.category_ids == [5]
    assert detector.preprocess.scale == (256, 256)  # of the config's test_dataloader
    assert detector.preprocess.std == (255.0,) * 3
    assert not detector.preprocess.swap_channels
    assert len(detector(folder / 'both' / 'val' / '1.png')) > 0


def test_it_is_evaluated_alone_and_with_its_config_alike(checkpoint: Path, folder: Path) -> None:
    flags = dict(data_root=folder / 'both', workers=0)
    alone = evaluate(parse('test', checkpoint, work_dir=folder / 'alone', **flags))
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        both = parse('test', folder / 'config.py', checkpoint, work_dir=folder / 'with', **flags)
        assert evaluate(both) == alone
    assert 'coco/bbox_mAP' in alone
    with pytest.raises(UserError, match='--data-root'):
        evaluate(parse('test', checkpoint))


def checked(checkpoint: Path, folder: Path, **changes: object) -> Config:
    """The config of a training that starts from the checkpoint."""
    cfg = Config.fromfile(DEMO)
    cfg.merge_from_dict(dict(load_from=str(checkpoint), **changes))
    for name in ('train', 'val', 'test'):
        split = 'train' if name == 'train' else 'val'
        cfg[f'{name}_dataloader'].dataset.update(
            data_root=f'{folder}/both/',
            ann_file=f'annotations/instances_{split}.json',
            data_prefix=dict(img=f'{split}/'),
        )
    cfg.val_evaluator.ann_file = cfg.test_evaluator.ann_file = str(
        folder / 'both' / 'annotations' / 'instances_val.json'
    )
    cfg.model.roi_head.bbox_head.num_classes = 1
    run = check_training(RunConfig(cfg, DEMO), str(folder / 'next'), False, 'none')
    return run.cfg


def test_load_from_takes_preprocessing_and_activation(checkpoint: Path, folder: Path) -> None:
    model = checked(checkpoint, folder).model
    assert list(model.data_preprocessor.std) == [255.0] * 3
    assert list(model.data_preprocessor['mean']) == [0.0] * 3
    assert model.data_preprocessor.bgr_to_rgb is False
    assert model.backbone.act_cfg == dict(type='LeakyReLU', negative_slope=0.1)


@pytest.mark.parametrize(
    'changes',
    [
        {'model.data_preprocessor.bgr_to_rgb': True},
        {'model.data_preprocessor.std': [58.395, 57.12, 57.375]},
        {'model.backbone.act_cfg': dict(type='ReLU')},
    ],
    ids=str,
)
def test_load_from_refuses_another_preprocessing(
    checkpoint: Path, folder: Path, changes: dict
) -> None:
    with pytest.raises(UserError, match='were trained with'):
        checked(checkpoint, folder, **changes)


def test_the_checkpoint_says_what_it_is_and_only_that(checkpoint: Path) -> None:
    meta = torch.load(checkpoint, weights_only=True)['meta']
    assert 'OwnHook' not in meta['specification']
    assert 'OwnHook' in meta['config_record']
