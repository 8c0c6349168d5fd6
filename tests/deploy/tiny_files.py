"""Exported files of a detector that answers the same for every image: small, and quick to load."""

from pathlib import Path

import numpy as np

from lighthead.checkpoint.preprocess_settings import PreprocessSettings
from lighthead.deploy.metadata import INPUTS, OUTPUTS, ExportMeta

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


def write_tiny(name: str, folder: Path) -> Path:
    """The tiny detector as 'onnx' or 'openvino'."""
    from lighthead.deploy.export_onnx import add_metadata, save_onnx
    from lighthead.deploy.export_openvino import openvino_model, save_openvino

    model = tiny_model()
    if name == 'onnx':
        add_metadata(model, META)
        save_onnx(model, folder / 'tiny.onnx')
        return folder / 'tiny.onnx'
    save_openvino(openvino_model(model, META, folder), folder / 'tiny.xml')
    return folder / 'tiny.xml'
