"""ONNX Runtime's quantiser, as it is called here."""

import logging

import numpy as np

from lighthead.deploy.quantise_onnxruntime import quantise_onnx

from .conftest import need


def test_its_advice_is_not_printed(tmp_path, caplog) -> None:
    need('onnx')
    from onnx import TensorProto, helper, numpy_helper

    weight = np.random.default_rng(0).normal(size=(4, 4, 1, 1)).astype('f4')
    first, second = (f'dense.{name}.weight' for name in ('first', 'second'))
    nodes = [
        helper.make_node('Conv', ['images', first], ['x'], name='dense.first'),
        helper.make_node('Relu', ['x'], ['y'], name='dense.relu'),
        helper.make_node('Conv', ['y', second], ['thin_map'], name='dense.second'),
    ]
    shape = [1, 4, 8, 8]
    graph = helper.make_graph(
        nodes,
        'detector',
        [helper.make_tensor_value_info('images', TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info('thin_map', TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(weight, name) for name in (first, second)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 18)], ir_version=10)
    images = [dict(images=np.ones(shape, 'f4'))]
    with caplog.at_level(logging.WARNING):
        quantised = quantise_onnx(model, tmp_path, images)
        logging.warning('of others')
    assert 'QuantizeLinear' in {node.op_type for node in quantised.graph.node}
    assert [record.getMessage() for record in caplog.records] == ['of others']
