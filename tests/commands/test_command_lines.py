"""Train, test and infer as a user does: through the command lines, on the set that ships."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from lighthead.models.backbones import ShuffleNetV2

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / 'data' / 'demo'
CONFIG = 'configs/lighthead_shufflev2star_demo.py'


def command(*args: str | Path) -> subprocess.CompletedProcess:
    """Run ``python tools/...`` in the repository's root."""
    return subprocess.run(
        [sys.executable, *map(str, args)], cwd=ROOT, capture_output=True, text=True, timeout=600
    )


@pytest.fixture(scope='module')
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The work dir of a short training from scratch."""
    work_dir = tmp_path_factory.mktemp('run')
    done = command(
        'tools/train.py',
        CONFIG,
        '--from-scratch',
        '--data-root',
        DEMO,
        '--work-dir',
        work_dir,
        '--cfg-options',
        'train_cfg.max_epochs=1',
        'train_dataloader.dataset.indices=16',
        'train_dataloader.num_workers=0',
        'train_dataloader.persistent_workers=False',
        'val_dataloader.dataset.indices=4',
        'val_dataloader.num_workers=0',
        'val_dataloader.persistent_workers=False',
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return work_dir


def test_training_leaves_a_safe_checkpoint_and_the_config(run_dir: Path) -> None:
    checkpoint = torch.load(run_dir / 'epoch_1.pth', weights_only=True)
    classes = [
        c['name']
        for c in json.loads((DEMO / 'annotations/instances_train.json').read_text())['categories']
    ]
    assert checkpoint['meta']['dataset_meta']['classes'] == classes
    assert list(run_dir.glob('*.py')), 'the dumped config'
    assert list(run_dir.glob('**/events.out.tfevents*')), 'TensorBoard'


def test_test_prints_the_table_and_equals_pycocotools(run_dir: Path, tmp_path: Path) -> None:
    done = command(
        'tools/test.py',
        CONFIG,
        run_dir / 'epoch_1.pth',
        '--work-dir',
        tmp_path,
        '--out',
        tmp_path / 'results.json',
        '--show-dir',
        tmp_path / 'show',
        '--cfg-options',
        'model.test_cfg.rcnn.score_thr=0.0',
    )
    assert done.returncode == 0, done.stderr[-3000:]
    metrics = json.loads((tmp_path / 'metrics.json').read_text())
    truth = COCO(str(DEMO / 'annotations/instances_val.json'))
    evaluation = COCOeval(truth, truth.loadRes(str(tmp_path / 'results.json')), 'bbox')
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    assert metrics['coco/bbox_mAP'] == pytest.approx(evaluation.stats[0], abs=1e-9)
    assert metrics['coco/bbox_mAP_50'] == pytest.approx(evaluation.stats[1], abs=1e-9)
    assert len(list((tmp_path / 'show').glob('*.jpg'))) == len(truth.imgs)


def test_infer_needs_no_config(run_dir: Path, tmp_path: Path) -> None:
    pictures = sorted((DEMO / 'val').glob('*.jpg'))[:2]
    done = command(
        'tools/infer.py',
        run_dir / 'epoch_1.pth',
        *pictures,
        '--out-dir',
        tmp_path,
        '--pred-score-thr',
        '0.0',
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads((tmp_path / 'predictions.json').read_text())
    assert len(found['images']) == 2
    assert found['annotations']


def test_mmdetections_own_api_takes_config_and_checkpoint(run_dir: Path) -> None:
    from mmdet.apis import inference_detector, init_detector

    from lighthead import Detector

    picture = str(sorted((DEMO / 'val').glob('*.jpg'))[0])
    config = str(next(run_dir.glob('*.py')))
    checkpoint = str(run_dir / 'epoch_1.pth')
    theirs = inference_detector(init_detector(config, checkpoint, device='cpu'), picture)
    ours = Detector(checkpoint, device='cpu', score_thr=0.0)(picture)
    theirs = theirs.pred_instances.numpy()
    assert ours.labels.tolist() == theirs.labels.tolist()
    assert ours.boxes == pytest.approx(theirs.bboxes, abs=1e-2)
    assert ours.scores == pytest.approx(theirs.scores, abs=1e-4)


@pytest.mark.parametrize(
    ('args', 'sentence'),
    [
        (['tools/train.py', 'no/such.py'], 'no config file no/such.py'),
        (['tools/train.py', CONFIG, '--data-root', 'no/folder'], 'no/folder'),
        (['tools/test.py', CONFIG, 'no/such.pth'], 'no/such.pth'),
        (['tools/infer.py', 'no/such.pth', 'data/demo/val'], 'no/such.pth'),
    ],
)
def test_users_mistakes_end_in_a_sentence(args: list[str], sentence: str) -> None:
    done = command(*args)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert 'Traceback' not in done.stderr


def test_an_earlier_run_is_not_overwritten(run_dir: Path) -> None:
    done = command('tools/train.py', CONFIG, '--from-scratch', '--work-dir', run_dir)
    assert done.returncode == 2
    assert '--resume' in done.stderr


@pytest.mark.slow
def test_resume_needs_the_pretrained_weights_no_more(tmp_path: Path) -> None:
    weights = tmp_path / 'backbone.pth'
    torch.save(ShuffleNetV2(0.5, out_indices=(0, 1, 2, 3)).state_dict(), weights)
    work_dir = tmp_path / 'run'
    settings = [
        f'model.backbone.init_cfg.checkpoint={weights}',
        'model.backbone.frozen_stages=-1',
        'train_dataloader.dataset.indices=8',
        'train_dataloader.num_workers=0',
        'train_dataloader.persistent_workers=False',
        'val_dataloader.dataset.indices=2',
        'val_dataloader.num_workers=0',
        'val_dataloader.persistent_workers=False',
    ]
    line = ['tools/train.py', 'configs/finetune/lighthead_shufflev2star_x0_5.py']
    line += ['--data-root', DEMO, '--work-dir', work_dir]
    first = command(*line, '--cfg-options', *settings, 'train_cfg.max_epochs=1')
    assert first.returncode == 0, first.stderr[-3000:]
    weights.unlink()
    again = command(*line, '--resume', '--cfg-options', *settings, 'train_cfg.max_epochs=2')
    assert again.returncode == 0, again.stderr[-3000:]
    first_run, second_run = (
        torch.load(work_dir / f'epoch_{epoch}.pth', weights_only=True)['meta'] for epoch in (1, 2)
    )
    assert (first_run['epoch'], second_run['epoch']) == (1, 2)
