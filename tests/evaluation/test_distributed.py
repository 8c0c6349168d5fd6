"""Two processes that share an uneven data set evaluate every image once."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

DEMO = Path(__file__).resolve().parents[2] / 'data/demo'
EVALUATE = """
import sys
import lighthead, torch
from lighthead.data import CocoDetDataset, ResumableSampler
from lighthead.evaluation import CocoDetMetric
torch.distributed.init_process_group('gloo')
root, images, out = sys.argv[1], int(sys.argv[2]), sys.argv[3]
names = dict(data_root=root, ann_file='annotations/instances_val.json')
dataset = CocoDetDataset(**names, data_prefix=dict(img='val/'), indices=images, test_mode=True)
metric = CocoDetMetric(ann_file=root + '/annotations/instances_val.json', out=out)
metric.dataset_meta = dataset.metainfo
for index in ResumableSampler(dataset, shuffle=False, seed=0):
    info = dataset.get_data_info(index)
    boxes = torch.tensor([i['bbox'] for i in info['instances']])
    labels = torch.tensor([i['bbox_label'] for i in info['instances']])
    found = dict(bboxes=boxes, labels=labels, scores=torch.ones(len(boxes)))
    sample = dict(img_id=info['img_id'], ori_shape=(1, 1), pred_instances=found)
    metric.process({}, [sample])
figures = metric.evaluate(len(dataset))
print('AP', figures['coco/bbox_mAP'])
"""


@pytest.mark.slow
def test_two_processes(tmp_path: Path) -> None:
    images = 7
    out = tmp_path / 'out.json'
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port = probe.getsockname()[1]
    shared = dict(WORLD_SIZE='2', MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port))
    command = [sys.executable, '-c', EVALUATE, str(DEMO), str(images), str(out)]
    running = [
        subprocess.Popen(
            command,
            cwd=tmp_path,
            env={**os.environ, **shared, 'RANK': str(rank), 'OMP_NUM_THREADS': '1'},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in range(2)
    ]
    printed = [process.communicate(timeout=300)[0] for process in running]
    assert [process.returncode for process in running] == [0, 0], printed
    content = json.loads((DEMO / 'annotations/instances_val.json').read_text())
    seen = {image['id'] for image in content['images'][:images]}
    boxes = [a for a in content['annotations'] if a['image_id'] in seen]
    detections = json.loads(out.read_text())
    assert len(detections) == len(boxes)
    assert {d['image_id'] for d in detections} == seen
    figures = [line for text in printed for line in text.splitlines() if line.startswith('AP 0.')]
    assert len(figures) == 2
    assert figures[0] == figures[1]
