from functools import partial

import pytest
import torch

from lighthead.cli import run
from lighthead.commands.speed import build_parser, main
from lighthead.speed import bench as bench_module
from lighthead.speed.detector import table7_cell
from lighthead.speed.detector_runner import (
    PROPOSALS,
    Candidate,
    apply_proposals,
    make_runner,
    read_image,
)
from lighthead.speed.machine import Roofline
from lighthead.speed.memory import peak_memory
from lighthead.speed.prepare import prepare_call
from lighthead.speed.record import read_result
from lighthead.speed.settings import Settings
from lighthead.speed.stages import StageClock, counting_proposals, watches_of, watching
from lighthead.speed.timer import Plan

SIZE = (96, 128)


@pytest.fixture
def configs(pytestconfig):
    return pytestconfig.rootpath / 'configs'


@pytest.fixture
def runner(configs):
    candidate = Candidate(str(configs / 'lighthead_shufflev2star_x0_5.py'))
    return make_runner(candidate, SIZE, None, Settings(threads=1))


def test_parts_are_seen_once_each_and_taken_off_again(runner):
    clock = StageClock(torch.device('cpu'))
    call = runner.calls(2, PROPOSALS['paper'])
    with watching(watches_of(runner.model), clock), counting_proposals(runner.model) as kept:
        outputs = call()
    parts = [part for part, _, _ in clock.marks]
    assert sorted(set(parts)) == sorted(parts)
    assert set(parts) == {
        *('data', 'backbone', 'separable conv', 'RPN', 'proposals + NMS'),
        *('PS-RoI', 'R-CNN head', 'post-processing'),
    }
    assert all(value >= 0 for value in clock.seconds().values())
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


def test_command_times_competitors_side_by_side(configs, tmp_path, monkeypatch, capsys):
    limit = Roofline(1e11, 1e10, 'cpu', 1, 'fp32')
    monkeypatch.setattr(bench_module, 'measure_roofline', lambda settings, threads: limit)
    plan = Plan(min_time=1e-6, rounds=1, warmup=1)
    monkeypatch.setattr(Settings, 'plan', lambda self, *_: plan)
    arguments = ['detector', configs / 'lighthead_shufflev2star_x0_5.py', '--quick', '--fuse-bn']
    arguments += ['--against', 'mmdet:rtmdet/rtmdet_tiny_8xb32-300e_coco.py']
    arguments += ['torchvision:fasterrcnn_mobilenet_v3_large_320_fpn', '--batch', 4]
    arguments += ['--threads', 1, '--shape', '72x104', '--out', tmp_path]
    assert run(main, build_parser().parse_args([str(a) for a in arguments])) == 0
    rows = read_result(tmp_path)['measurements']
    assert len(rows) == 2 * (2 + 1 + 2)  # batches x settings: ours two, RTMDet one, torchvision two
    for row in rows:
        assert sum(row['parts'].values()) == pytest.approx(row['ms_parts'])
    ours = [row for row in rows if row['name'].startswith('lighthead')]
    assert {row['proposals'] for row in ours} == {'1000/1000/0.05', '6000/1000/0'}
    assert [row.get('paper_speed') for row in ours] == [183, 183, None, None]  # batch 4, 1
    assert 'random weights' in capsys.readouterr().out
    assert (tmp_path / 'parts.png').is_file()


def test_image_keeps_its_aspect(tmp_path):
    import cv2
    import numpy as np

    path = tmp_path / 'x.png'
    image = np.zeros((50, 100, 3), dtype=np.uint8)
    image[..., 0] = 200  # blue
    cv2.imwrite(str(path), image)
    bgr, rgb = (read_image(str(path), (80, 120), rgb=flag) for flag in (False, True))
    assert bgr.shape == (3, 60, 120)
    assert bgr[0].float().mean() == 200
    assert rgb[2].float().mean() == 200


def test_peak_memory_is_read_in_a_process_of_its_own():
    settings = Settings(threads=1)
    build = partial(torch.nn.Conv2d, 3, 64, 3)
    prepare = partial(prepare_call, build, (1, 3, 1024, 1024), settings)
    assert peak_memory(prepare, settings) > 250  # the output alone has 64 * 1022 * 1022 * 4 bytes
