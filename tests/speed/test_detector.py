import cv2
import numpy as np
import pytest
import torch

from lighthead.speed.detectors.build import Candidate
from lighthead.speed.detectors.parts import PartClock, counting_proposals, watches_of, watching
from lighthead.speed.detectors.runner import PROPOSALS, apply_proposals, make_runner, read_image
from lighthead.speed.detectors.table7 import table7_cell
from lighthead.speed.harness.conditions import Conditions
from lighthead.speed.harness.record import read_record

SIZE = (96, 128)


@pytest.fixture
def configs(pytestconfig):
    return pytestconfig.rootpath / 'configs'


@pytest.fixture
def runner(configs):
    candidate = Candidate(str(configs / 'lighthead_shufflev2star_x0_5.py'))
    return make_runner(candidate, SIZE, None, Conditions(threads=1))


def test_parts_are_seen_once_each_and_taken_off_again(runner):
    clock = PartClock(torch.device('cpu'))
    call = runner.calls(2, PROPOSALS['paper'])
    with watching(watches_of(runner.model), clock), counting_proposals(runner.model) as kept:
        outputs = call()
    parts = [part for part, _, _ in clock.marks]
    assert sorted(set(parts)) == sorted(parts)
    assert set(parts) == {
        *('data', 'backbone', 'separable conv', 'RPN', 'proposals + NMS'),
        *('PS-RoI', 'R-CNN head', 'post-processing'),
    }
    seconds = clock.seconds()
    assert seconds['backbone'] > seconds['data'] > 0
    assert len(kept) == 1
    assert 0 < kept[0] <= 2000
    assert len(outputs) == 2
    call()
    assert len(clock.marks) == len(parts)
    assert 'predict_by_feat' not in vars(runner.model.rpn_head)


def test_proposals_are_set(runner):
    apply_proposals(runner.model, PROPOSALS['torchvision'])
    assert runner.model.rpn_head.test_cfg.nms_pre == 1000
    assert runner.model.roi_head.test_cfg.score_thr == 0.05
    apply_proposals(runner.model, PROPOSALS['paper'])
    assert runner.model.rpn_head.test_cfg.nms_pre == 6000
    assert runner.model.roi_head.test_cfg.score_thr == 0.0


@pytest.mark.parametrize(
    ('config', 'cell'),
    [
        ('lighthead_shufflev2star_x0_5.py', ('ShuffleNet v2*', 0)),
        ('lighthead_shufflev2_x2_0.py', ('ShuffleNet v2', 3)),
        ('table7/xception_140m.py', ('Xception', 1)),
        ('table7/shufflenetv1_300m.py', ('ShuffleNet v1', 2)),
        ('table7/mobilenetv2_40m.py', ('MobileNet v2', 0)),
        ('table7/mobilenetv2_500m.py', ('MobileNet v2', 3)),
    ],
)
def test_cell_of_table7(configs, config, cell):
    assert table7_cell(Candidate(str(configs / config)).build(SIZE)) == cell


def test_command_times_competitors_in_turn(configs, tmp_path, capsys, speed_command):
    arguments = ['detector', configs / 'lighthead_shufflev2star_x0_5.py', '--quick', '--fuse-bn']
    arguments += ['--against', 'mmdet:rtmdet/rtmdet_tiny_8xb32-300e_coco.py']
    arguments += ['torchvision:fasterrcnn_mobilenet_v3_large_320_fpn', '--batch', 4]
    arguments += ['--threads', 1, '--shape', '72x104', '--out', tmp_path]
    assert speed_command(*arguments) == 0
    rows = read_record(tmp_path).measurements
    assert len(rows) == 2 * (2 + 1 + 2)  # batches x settings; RTMDet has no proposals
    for row in rows:
        parts = dict(row['parts'])
        others = parts.pop('others')
        # the parts lie apart and cover the call: what is between them is small and no debt
        assert 0 < others < 0.5 * row['ms_parts']
        assert parts['backbone'] > parts['data'] > 0
    own = [row for row in rows if row['name'].startswith('lighthead')]
    assert {row['proposals'] for row in own} == {'1000/1000/0.05', '6000/1000/0'}
    assert [row.get('paper_speed') for row in own] == [183, 183, None, None]  # batch 4, 1
    assert 'random weights' in capsys.readouterr().out
    assert (tmp_path / 'parts.png').is_file()


def test_image_keeps_its_aspect(tmp_path):
    path = tmp_path / 'x.png'
    image = np.zeros((50, 100, 3), dtype=np.uint8)
    image[..., 0] = 200  # blue
    cv2.imwrite(str(path), image)
    bgr, rgb = (read_image(str(path), (80, 120), rgb=flag) for flag in (False, True))
    assert bgr.shape == (3, 60, 120)
    assert bgr[0].float().mean() == 200
    assert rgb[2].float().mean() == 200
