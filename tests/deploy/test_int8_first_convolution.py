"""INT8 leaves the convolution that sees the images in float, whatever it is called."""

from lighthead.deploy.quantise_onnxruntime import first_convolutions

from .conftest import need


def test_it_is_found_by_structure() -> None:
    """MobileNet v2's is ``stem.0.0``; a name list would quantise it."""
    need('onnx')
    from onnx import TensorProto, helper

    def node(kind: str, inputs: list[str], output: str, **attributes):
        return helper.make_node(kind, inputs, [output], name=output, **attributes)

    nodes = [
        node('Cast', ['images'], 'cast', to=TensorProto.FLOAT),
        node('Conv', ['cast', 'dense.backbone.stem.0.0.weight'], 'first'),
        node('Relu', ['first'], 'relu'),
        node('Conv', ['relu', 'dense.backbone.stem.1.conv.0.0.weight'], 'second'),
        node('Shape', ['images'], 'shape'),  # of the images, but not their values
        node('Reshape', ['second', 'shape'], 'reshaped'),
        node('Conv', ['reshaped', 'dense.neck.weight'], 'third'),
    ]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        'detector',
        [value('images', TensorProto.UINT8, [1, 3, 8, 8])],
        [value('third', TensorProto.FLOAT, None)],
    )
    assert first_convolutions(helper.make_model(graph)) == {'first'}
