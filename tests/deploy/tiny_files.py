"""Exported files of a detector that answers the same for every image: small, and quick to load."""

from pathlib import Path

import numpy as np

from lighthead.checkpoint.preprocess_settings import PreprocessSettings
from lighthead.deploy.box_codings import AnchorLevel, BoxCodings, DeltaCoding
from lighthead.deploy.inference_settings import InferenceSettings
from lighthead.deploy.metadata import INPUTS, OUTPUTS, ExportMeta
from lighthead.deploy.ncnn_layers import weight_bytes
from lighthead.ncnn_format import Layer

META = ExportMeta(
    classes=['cat', 'dog'],
    category_ids=[1, 2],
    preprocess=PreprocessSettings(scale=(64, 64), pad_divisor=32),
    version='1',
)
BOXES = [[1.0, 2.0, 20.0, 30.0], [4.0, 4.0, 9.0, 9.0], [0.0, 0.0, 0.0, 0.0]]


def tiny_model():
    """An :class:`onnx.ModelProto` with the inputs and outputs of a detector."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    constants = dict(
        box_values=np.array([BOXES], np.float32),
        score_values=np.array([[0.9, 0.5, 0.0]], np.float32),
        label_values=np.array([[0, 1, -1]], np.int64),
        num_values=np.array([2], np.int64),
        weight=np.ones((2, 3, 1, 1), np.float32),
        axes=np.array([1, 2, 3], np.int64),
    )
    images = helper.make_tensor_value_info('images', TensorProto.FLOAT, ['b', 3, 'h', 'w'])
    sizes = helper.make_tensor_value_info('sizes', TensorProto.FLOAT, ['b', 2])
    shapes = (['b', 'n', 4], ['b', 'n'], ['b', 'n'], ['b'])
    kinds = (TensorProto.FLOAT, TensorProto.FLOAT, TensorProto.INT64, TensorProto.INT64)
    nodes = [
        helper.make_node('Conv', ['images', 'weight'], ['thin_map'], kernel_shape=[1, 1]),
        helper.make_node('ReduceSum', ['thin_map', 'axes'], ['total'], keepdims=0),
        helper.make_node('Sub', ['total', 'total'], ['nothing']),
        helper.make_node('Add', ['box_values', 'nothing'], ['boxes']),
        helper.make_node('Add', ['score_values', 'nothing'], ['scores']),
        helper.make_node('Identity', ['label_values'], ['labels']),
        helper.make_node('Identity', ['num_values'], ['num']),
    ]
    graph = helper.make_graph(
        nodes,
        'tiny',
        [images, sizes],
        [helper.make_tensor_value_info(*v) for v in zip(OUTPUTS, kinds, shapes, strict=True)],
        [numpy_helper.from_array(values, name) for name, values in constants.items()],
    )
    assert tuple(value.name for value in graph.input) == INPUTS
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 18)])
    model.ir_version = 10
    onnx.checker.check_model(model, full_check=True)
    return model


NCNN = """7767517
20 27
Input image 0 1 images
Input rois 0 1 pooled
Convolution stem 1 1 images a 0=8 1=3 11=3 12=1 13=2 14=1 2=1 3=2 4=1 5=1 6=216 9=2 -23310=1,0.1
Split copy 1 3 a a1 a2 a3
Pooling pool 1 1 a1 p 0=0 1=3 11=3 12=2 13=1 2=2 3=1 5=1
ConvolutionDepthWise deep 1 1 p q 0=8 1=3 11=3 12=1 13=1 14=1 2=1 3=1 4=1 5=1 6=72 7=8
Slice cut 1 2 q q1 q2 -23300=2,3,-233 1=0
Concat join 2 1 q2 q1 r 0=0
Interp grow 2 1 r a2 u 0=2 5=1 6=0 9="1w,1h"
BinaryOp add 2 1 a3 u v 0=0
Split copy2 1 4 v v1 v2 v3 v4
Reduction mean 1 1 v3 m 0=3 1=0 -23303=2,1,2 4=1 5=1
BinaryOp add2 2 1 v4 m w 0=0
Convolution scores 1 1 v1 rpn_scores 0=2 1=1 11=1 12=1 13=1 14=0 2=1 3=1 4=0 5=1 6=16
Convolution deltas 1 1 v2 rpn_deltas 0=8 1=1 11=1 12=1 13=1 14=0 2=1 3=1 4=0 5=1 6=64
Convolution thin 1 1 w thin_map 0=12 1=1 11=1 12=1 13=1 14=0 2=1 3=1 4=0 5=1 6=96
InnerProduct fc 1 1 pooled f 0=16 1=1 2=192 9=1
Split copy3 1 2 f f1 f2
InnerProduct classes 1 1 f1 logits 0=2 1=1 2=32
InnerProduct boxes 1 1 f2 deltas 0=4 1=1 2=64
"""
"""A network with a layer of every kind that is exported, except ReLU."""
SETTINGS = InferenceSettings(
    nms_pre=50, rpn_iou=0.7, max_proposals=20, min_size=0.0, score_thr=0.05, final_iou=0.5,
    max_detections=10, num_classes=2, class_agnostic=True, bins=(2, 2), stride=2, sampling_ratio=2,
    mode='avg', anchor_stride=(2, 2),
)  # fmt: skip
DELTAS = DeltaCoding(means=(0.0,) * 4, stds=(0.1, 0.1, 0.2, 0.2), clip=True)
CODINGS = BoxCodings(
    levels=[AnchorLevel(anchors=[(-8.0, -8.0, 8.0, 8.0), (-4.0, -9.0, 4.0, 9.0)], stride=(2, 2))],
    rpn=DELTAS,
    second=DELTAS,
    rpn_weight=0.5,
)


def write_tiny_ncnn(folder: Path) -> Path:
    """An ncnn network with random weights."""
    from lighthead.deploy.export_ncnn import write_parts

    rng, weights = np.random.default_rng(0), b''
    for layer in map(Layer, NCNN.splitlines()[2:]):
        if count := weight_bytes(layer):
            values = rng.normal(scale=0.3, size=count // 4 - 1).astype(np.float32)
            weights += bytes(4) + values.tobytes()
    path = folder / 'tiny.ncnn.param'
    write_parts(NCNN.encode(), weights, META.changed(settings=SETTINGS), CODINGS, path)
    return path


def write_tiny(name: str, folder: Path) -> Path:
    """The tiny detector as 'onnx' or 'openvino'; as 'ncnn', one that computes."""
    if name == 'ncnn':
        return write_tiny_ncnn(folder)
    from lighthead.deploy.export_onnx import add_metadata, save_onnx
    from lighthead.deploy.export_openvino import openvino_model, save_openvino

    model = tiny_model()
    if name == 'onnx':
        add_metadata(model, META)
        save_onnx(model, folder / 'tiny.onnx')
        return folder / 'tiny.onnx'
    save_openvino(openvino_model(model, META, folder), folder / 'tiny.xml')
    return folder / 'tiny.xml'
