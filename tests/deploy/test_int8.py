"""Quantisation: what is quantised, what stays in float, and what the command prints."""

import json
from argparse import Namespace
from collections import Counter

import cv2
import numpy as np
import pytest

from lighthead import Detector
from lighthead.commands.export_job import export, int8_report
from lighthead.deploy.quantised_tensors import dense_nodes
from lighthead.errors import UserError
from lighthead.evaluation.accuracy import Measured
from lighthead.inference.calibration import calibration_files, calibration_inputs
from lighthead.inference.preprocess import Preprocess
from lighthead.inference.runtimes.openvino_backend import split

from ..command_line import parse
from ..small_detector import CATEGORY_IDS, CLASSES
from .conftest import need


@pytest.fixture(scope='module')
def data_root(tmp_path_factory):
    """Four pictures in COCO layout, with a box each."""
    root = tmp_path_factory.mktemp('data')
    (root / 'annotations').mkdir()
    (root / 'val').mkdir()
    rng = np.random.default_rng(0)
    images, boxes = [], []
    for number in range(1, 5):
        coarse = rng.integers(0, 256, (8, 10, 3), dtype=np.uint8)
        cv2.imwrite(str(root / 'val' / f'{number}.png'), cv2.resize(coarse, (120, 96)))
        images.append(dict(id=number, file_name=f'{number}.png', width=120, height=96))
        boxes.append(
            dict(
                id=number, image_id=number, category_id=3, bbox=[9, 9, 50, 40], area=2000, iscrowd=0
            )
        )
    categories = [dict(id=i, name=n) for i, n in zip(CATEGORY_IDS, CLASSES, strict=True)]
    content = dict(images=images, annotations=boxes, categories=categories)
    (root / 'annotations' / 'instances_val.json').write_text(json.dumps(content))
    return root


def int8_options(checkpoint, name, out, data_root) -> Namespace:
    calibration = dict(calib=data_root / 'val', calib_images=3, data_root=data_root)
    return parse('export', checkpoint, format=name, out=out, int8=True, **calibration)


@pytest.mark.slow
def test_onnx_runtime(checkpoint, data_root, tmp_path, capsys):
    need('onnx')
    import onnx

    out = tmp_path / 'int8.onnx'
    export(int8_options(checkpoint, 'onnx', out, data_root))
    printed = capsys.readouterr().out
    assert 'calibrating on 3 images' in printed
    assert 'AP points and is' in printed
    model = onnx.load(str(out))
    makers = {output: node.op_type for node in model.graph.node for output in node.output}
    weights = {w.name: w for w in model.graph.initializer}
    in_int8, in_float = [], []
    for node in dense_nodes(model):
        if node.op_type == 'Conv':
            quantised = makers.get(node.input[1]) == 'DequantizeLinear'
            if any(entry.name == 'group' and entry.i > 1 for entry in node.attribute):
                assert not quantised
            else:
                (in_int8 if quantised else in_float).append(node.input[1])
    assert len(in_int8) > 30
    assert sorted(name.partition('dense.')[2] for name in in_float) == [
        'backbone.conv1.0.weight',
        'rpn_head.rpn_cls.weight',
        'rpn_head.rpn_reg.weight',
    ]
    scales = [w for name, w in weights.items() if name.endswith('weight_scale')]
    assert all(scale.dims and scale.dims[0] > 1 for scale in scales)  # per channel
    detector = Detector(out, score_thr=0.0, precision='int8', threads=1)
    assert detector.classes == CLASSES
    assert len(detector(str(data_root / 'val' / '1.png')))
    with pytest.raises(UserError, match='choose from int8'):
        Detector(out, precision='fp32')


@pytest.mark.slow
def test_openvino(checkpoint, data_root, tmp_path, capsys):
    need('openvino')
    import openvino as ov

    out = tmp_path / 'int8.xml'
    export(int8_options(checkpoint, 'openvino', out, data_root))
    assert 'AP points and is' in capsys.readouterr().out
    assert Detector(out, threads=1).classes == CLASSES
    core = ov.Core()
    dense, _ = split(ov, core.read_model(out))
    compiled = core.compile_model(dense, 'CPU', dict(INFERENCE_PRECISION_HINT='f32'))
    kinds = Counter()
    for node in compiled.get_runtime_model().get_ordered_ops():
        info = node.get_rt_info()
        kinds[info['layerType'].astype(str), info['runtimePrecision'].astype(str)] += 1
    assert kinds['Convolution', 'f32'] == 2  # the RPN's last
    assert kinds['Convolution', 'u8'] > 70
    assert kinds['FakeQuantize', 'f32'] == 1  # the images; all others go into a convolution
    assert kinds['Concatenation', 'f32'] == kinds['Split', 'f32'] == 0


def test_loss_above_one_point_is_called_out():
    fp32, good, bad = Measured(0.3, 0.5, 0.1), Measured(0.295, 0.5, 0.05), Measured(0.28, 0.4, 0.05)
    assert 'loses 0.50 AP points and is 2.00 times as fast' in '\n'.join(int8_report(fp32, good))
    assert 'WARNING' not in '\n'.join(int8_report(fp32, good))
    assert 'WARNING: INT8 loses 2.00 AP points' in '\n'.join(int8_report(fp32, bad))


def test_calibration_pictures(data_root, tmp_path):
    assert [p.name for p in calibration_files(data_root, 2)] == ['1.png', '3.png']
    (tmp_path / 'linked').symlink_to(data_root / 'val', target_is_directory=True)
    assert len(calibration_files(tmp_path)) == 4
    (inputs, *_) = calibration_inputs(data_root, Preprocess((160, 128), pad_divisor=32), 1)
    assert inputs['images'].shape == (1, 3, 128, 160)
    assert inputs['sizes'].tolist() == [[128.0, 160.0]]
    with pytest.raises(UserError, match='no images'):
        calibration_files(data_root / 'annotations')
