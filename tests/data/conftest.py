"""A small data set in COCO layout that tests may spoil."""

import copy
import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmengine.config import Config

CLASSES = ('cat', 'dog', 'Zebra finch')
CATEGORY_IDS = (3, 7, 90)


def coco_content(images: int = 10) -> dict:
    """COCO content: portrait and landscape images with two boxes each, the last without."""
    content = dict(
        images=[
            dict(
                id=10 + n,
                file_name=f'{n:02d}.png',
                width=48 if n % 3 else 40,
                height=40 if n % 3 else 48,
            )
            for n in range(images)
        ],
        annotations=[],
        categories=[dict(id=i, name=n) for i, n in zip(CATEGORY_IDS, CLASSES, strict=True)],
    )
    for n in range(images - 1):
        for k in range(2):
            content['annotations'].append(
                dict(
                    id=len(content['annotations']) + 1,
                    image_id=10 + n,
                    category_id=CATEGORY_IDS[(n + k) % 3],
                    bbox=[4 + n, 5 * k, 15, 20],
                    area=300,
                    iscrowd=0,
                )
            )
    return content


def write_images(folder: Path, content: dict) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for image in content['images']:
        pixels = rng.integers(0, 255, (image['height'], image['width'], 3), dtype=np.uint8)
        cv2.imwrite(str(folder / image['file_name']), pixels)


@pytest.fixture(scope='session')
def pristine_coco(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """train/, val/ and annotations/instances_{train,val}.json; read only."""
    root = tmp_path_factory.mktemp('coco')
    (root / 'annotations').mkdir()
    for split, count in (('train', 10), ('val', 4)):
        content = coco_content(count)
        write_images(root / split, content)
        (root / f'annotations/instances_{split}.json').write_text(json.dumps(content))
    return root


@pytest.fixture
def spoil(pristine_coco: Path, tmp_path: Path) -> Callable[..., Path]:
    """Make a copy whose training annotations a function has changed; returns its root."""

    def make(change: Callable[[dict], object] = lambda content: None) -> Path:
        root = tmp_path / 'spoilt'
        (root / 'annotations').mkdir(parents=True)
        for split in ('train', 'val'):
            (root / split).symlink_to(pristine_coco / split)
            name = f'annotations/instances_{split}.json'
            content = json.loads((pristine_coco / name).read_text())
            if split == 'train':
                change(content)
            (root / name).write_text(json.dumps(content))
        return root

    return make


@pytest.fixture
def make_cfg() -> Callable[[Path], Config]:
    """A config as the project's are, with three classes, for a folder as above."""

    def loader(root: Path, split: str) -> dict:
        return dict(
            batch_size=2,
            num_workers=0,
            sampler=dict(type='ResumableSampler', shuffle=split == 'train'),
            dataset=dict(
                type='CocoDetDataset',
                data_root=f'{root}/',
                ann_file=f'annotations/instances_{split}.json',
                data_prefix=dict(img=f'{split}/'),
                metainfo=dict(classes=CLASSES),
                pipeline=[],
            ),
        )

    def make(root: Path) -> Config:
        evaluator = dict(type='CocoDetMetric', ann_file=f'{root}/annotations/instances_val.json')
        return Config(
            copy.deepcopy(
                dict(
                    data_root=f'{root}/',
                    model=dict(
                        rpn_head=dict(num_classes=1),
                        roi_head=dict(bbox_head=[dict(num_classes=3), dict(num_classes=3)]),
                    ),
                    train_dataloader=loader(root, 'train'),
                    val_dataloader=loader(root, 'val'),
                    test_dataloader=loader(root, 'val'),
                    val_evaluator=evaluator,
                    test_evaluator=[evaluator],
                    val_cfg=dict(),
                    test_cfg=dict(),
                )
            )
        )

    return make
