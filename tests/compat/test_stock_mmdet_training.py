"""Stock configs of mmdet trained to their end, by lighthead and by mmdet's own tools.

The tools lie in mmdet's wheel and know nothing of lighthead: one line imports it before them.
"""

import os
import subprocess
import sys
from pathlib import Path

import mmdet
import pytest

from lighthead.data.find_splits import find_splits

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / 'data' / 'demo'
TOOLS = Path(mmdet.__file__).parent / '.mim' / 'tools'
BEFORE = (
    'import lighthead, runpy, sys; sys.argv.pop(0); '
    "runpy.run_path(sys.argv[0], run_name='__main__')"
)
"""The line of docs/reliability.md."""
FASTER_RCNN = 'faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py'
RTMDET = 'rtmdet/rtmdet_tiny_8xb32-300e_coco.py'
CONFIG = """
_base_ = 'mmdet::{base}'
metainfo = dict(classes={classes})
train_dataloader = dict(
    batch_size=2,
    num_workers=0,
    persistent_workers=False,
    dataset=dict(
        data_root='{demo}/',
        ann_file='annotations/instances_train.json',
        data_prefix=dict(img='train/'),
        metainfo=metainfo,
        indices=4,
    ),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=0,
    persistent_workers=False,
    dataset=dict(
        data_root='{demo}/',
        ann_file='annotations/instances_val.json',
        data_prefix=dict(img='val/'),
        metainfo=metainfo,
        indices=2,
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(ann_file='{demo}/annotations/instances_val.json')
test_evaluator = val_evaluator
train_cfg = dict(max_epochs=1, val_interval=1)
model = dict(backbone=dict(init_cfg=None), {head})
"""
SMALL = ['train_dataloader.dataset.pipeline.2.scale=(160,128)']
SMALL += [f'{split}_dataloader.dataset.pipeline.1.scale=(160,128)' for split in ('val', 'test')]


def write_config(folder: Path, base: str, head: str) -> Path:
    classes = find_splits(DEMO).train.classes
    path = folder / 'stock.py'
    path.write_text(CONFIG.format(base=base, head=head, demo=DEMO, classes=classes))
    return path


def run(*words: object, **variables: str) -> subprocess.CompletedProcess:
    environment = {**os.environ, 'OMP_NUM_THREADS': '1', **variables}
    line = [sys.executable, *map(str, words)]
    return subprocess.run(
        line, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=900
    )


@pytest.mark.slow
def test_mmdets_own_tools(tmp_path):
    """Trained and tested by tools/train.py and tools/test.py of mmdet."""
    head = 'roi_head=dict(bbox_head=dict(num_classes=6))'
    config, work_dir = write_config(tmp_path, FASTER_RCNN, head), tmp_path / 'run'
    trained = run(
        '-c', BEFORE, TOOLS / 'train.py', config, '--work-dir', work_dir, '--cfg-options', *SMALL
    )
    assert trained.returncode == 0, trained.stderr[-3000:]
    checkpoint = work_dir / 'epoch_1.pth'
    words = [TOOLS / 'test.py', config, checkpoint, '--work-dir', work_dir]
    tested = run(
        *('-c', BEFORE, *words, '--cfg-options', *SMALL), TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD='1'
    )
    assert tested.returncode == 0, tested.stderr[-3000:]
    assert 'coco/bbox_mAP' in tested.stdout + tested.stderr


@pytest.mark.slow
def test_lighthead_trains_a_stock_config(tmp_path):
    """Its checkpoint is mmengine's, a pickle: converted once, it is tested."""
    config = write_config(tmp_path, RTMDET, 'bbox_head=dict(num_classes=6)')
    lighthead, work_dir = ('-m', 'lighthead'), tmp_path / 'run'
    trained = run(*lighthead, 'train', config, '--work-dir', work_dir)
    assert trained.returncode == 0, trained.stderr[-3000:]
    assert 'checkpoints of this training are used with its config' in trained.stdout
    checkpoint, converted = work_dir / 'epoch_1.pth', tmp_path / 'converted.pth'
    refused = run(*lighthead, 'test', config, checkpoint, '--work-dir', work_dir)
    assert refused.returncode == 2
    assert 'lighthead convert' in refused.stderr
    done = run(*lighthead, 'convert', checkpoint, converted, '--trust-checkpoint')
    assert done.returncode == 0, done.stderr[-3000:]
    tested = run(*lighthead, 'test', config, converted, '--work-dir', work_dir)
    assert tested.returncode == 0, tested.stderr[-3000:]
    assert (work_dir / 'metrics.json').exists()
