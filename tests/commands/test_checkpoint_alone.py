"""``lighthead test CHECKPOINT --data-root DIR``: detector and image size are the checkpoint's."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from lighthead import Detector, cli

from ..small_detector import CATEGORY_IDS, CLASSES, small_config, write_checkpoint


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory) -> Path:
    return write_checkpoint(small_config(), tmp_path_factory.mktemp('run') / 'detector.pth')


@pytest.fixture(scope='module')
def data_root(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp('data')
    (root / 'annotations').mkdir()
    (root / 'val').mkdir()
    rng = np.random.default_rng(0)
    images, boxes = [], []
    for number in (1, 2):
        coarse = rng.integers(0, 256, (8, 10, 3), dtype=np.uint8)
        cv2.imwrite(str(root / 'val' / f'{number}.png'), cv2.resize(coarse, (120, 96)))
        images.append(dict(id=number, file_name=f'{number}.png', width=120, height=96))
        box = dict(image_id=number, category_id=3, bbox=[9, 9, 50, 40], area=2000, iscrowd=0)
        boxes.append(dict(box, id=number))
    categories = [dict(id=i, name=n) for i, n in zip(CATEGORY_IDS, CLASSES, strict=True)]
    content = dict(images=images, annotations=boxes, categories=categories)
    (root / 'annotations/instances_val.json').write_text(json.dumps(content))
    return root


def test_it_detects_what_the_detector_detects(checkpoint, data_root, tmp_path):
    flags = ['--work-dir', tmp_path / 'test', '--out', tmp_path / 'out.json', '--workers', '0']
    words = ['test', checkpoint, '--data-root', data_root, *flags]
    assert cli.main(list(map(str, words))) == 0
    assert 'coco/bbox_mAP' in json.loads((tmp_path / 'test/metrics.json').read_text())
    results = json.loads((tmp_path / 'out.json').read_text())
    detector = Detector(checkpoint, device='cpu', score_thr=0.0)
    for number in (1, 2):
        detections = detector(data_root / 'val' / f'{number}.png')
        scores = sorted((r['score'] for r in results if r['image_id'] == number), reverse=True)
        assert len(detections) > 0
        assert scores == pytest.approx(list(detections.scores), abs=1e-3)


@pytest.mark.parametrize(
    ('flags', 'message'),
    [
        ([], '--data-root has to name the data'),
        (['--tta'], '--tta'),
    ],
)
def test_mistakes(checkpoint, flags, message, capsys):
    assert cli.main(['test', str(checkpoint), *flags]) == 2
    assert message in capsys.readouterr().err
