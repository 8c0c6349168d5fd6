"""INT8: ONNX Runtime's static quantisation, or NNCF's for OpenVINO.

Weights are quantised per output channel, activations per tensor, by images
that look like those to come. Only the convolutions are quantised. In float
stay:

- the first convolution, which sees the image itself: 24 filters on 3 channels have few
  multiplications, and all that follows inherits their error;
- the depthwise convolutions: with nine multiplications per output they wait for memory, and
  the conversions around them take longer than they save (ONNX Runtime 1.31 quantises most of
  them all the same when it loads the file);
- the RPN's last convolutions: deltas are exponentiated and multiplied by
  anchors of up to 512 pixels, one step of 8 bits being several pixels;
- everything behind the convolutions: coordinates, PS-RoI align, and the fully
  connected layers, whose inputs are few (one row per RoI) and whose outputs are
  compared with thresholds.
"""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lighthead.deploy.metadata import INPUTS, dense_names
from lighthead.errors import missing_extra

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto
    from onnxruntime.quantization import CalibrationDataReader
    from openvino import Model, Node

QUANTISED = ('Conv', 'Concat', 'MaxPool', 'Reshape', 'Relu', 'Slice', 'Split', 'Transpose')
"""ONNX operators that a quantised tensor may pass through."""


def quantise_onnx(
    model: 'ModelProto', path: Path, inputs: Sequence[dict[str, np.ndarray]]
) -> 'ModelProto':
    """Quantise an :class:`onnx.ModelProto`; ``path`` is a folder for temporary files.

    Returns:
        The quantised :class:`onnx.ModelProto`, with QDQ pairs of the standard's operators.
    """
    try:
        import onnx
        from onnxruntime.quantization import (
            CalibrationMethod,
            QuantFormat,
            QuantType,
            quantize_static,
        )
    except ImportError as error:
        raise missing_extra('onnxruntime', 'export') from error
    nodes = dense_nodes(model)
    excluded = float_nodes(model, nodes)
    chosen = [n.name for n in nodes if n.op_type in QUANTISED and n.name not in excluded]
    out = path / 'int8.onnx'
    quantize_static(
        model,
        out,
        _reader(inputs),
        quant_format=QuantFormat.QDQ,
        op_types_to_quantize=list(QUANTISED),
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        nodes_to_quantize=chosen,
        calibrate_method=CalibrationMethod.MinMax,
        extra_options={'ActivationSymmetric': False, 'QuantizeBias': True},
    )
    return onnx.load(str(out))


def _reader(inputs: Sequence[dict[str, np.ndarray]]) -> 'CalibrationDataReader':
    """The inputs as ONNX Runtime wants them."""
    from onnxruntime.quantization import CalibrationDataReader

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            self.iterator = iter(inputs)

        def get_next(self) -> dict | None:
            return next(self.iterator, None)

    return Reader()


def dense_nodes(model: 'ModelProto') -> list['NodeProto']:
    """The nodes of an :class:`onnx.ModelProto` that the dense maps are made by."""
    producers = {output: node for node in model.graph.node for output in node.output}
    waiting, seen, nodes = dense_names(producers), set(), []
    while waiting:
        node = producers.get(waiting.pop())
        if node is not None and id(node) not in seen:
            seen.add(id(node))
            nodes.append(node)
            waiting += node.input
    return nodes


def float_nodes(model: 'ModelProto', nodes: Sequence['NodeProto']) -> list[str]:
    """Names of the dense nodes that stay in float: the convolutions that see the images
    themselves or write the RPN's maps, and the depthwise ones."""
    first = first_convolutions(model)
    return [
        node.name
        for node in nodes
        if node.name in first
        or any(name.startswith('rpn_') for name in dense_names(node.output))
        or any(entry.name == 'group' and entry.i > 1 for entry in node.attribute)
    ]


def first_convolutions(model: 'ModelProto') -> set[str]:
    """Names of the convolutions of an :class:`onnx.ModelProto` that see the images themselves."""
    readers = defaultdict(list)
    for node in model.graph.node:
        for name in node.input:
            readers[name].append(node)
    waiting, names = [INPUTS[0]], set()
    while waiting:
        for node in readers[waiting.pop()]:
            if node.op_type == 'Conv':
                names.add(node.name)
            elif node.op_type != 'Shape':
                waiting += node.output
    return names


def quantise_openvino(model: 'Model', inputs: Sequence[dict[str, np.ndarray]]) -> 'Model':
    """Quantise an :class:`openvino.Model` with NNCF, per channel.

    Raises:
        UserError: nncf is not installed.
    """
    try:
        import nncf
    except ImportError as error:
        raise missing_extra('nncf', 'openvino') from error
    import logging

    logging.getLogger('nncf').setLevel(logging.ERROR)
    dataset = nncf.Dataset(list(inputs))
    return nncf.quantize(
        model,
        dataset,
        preset=nncf.QuantizationPreset.MIXED,
        target_device=nncf.TargetDevice.CPU,
        subset_size=len(inputs),
        fast_bias_correction=True,
        ignored_scope=nncf.IgnoredScope(names=float_operations(model), validate=False),
    )


def float_operations(model: 'Model') -> list[str]:
    """Names of the OpenVINO operations that stay in float."""
    dense, last, waiting = set(), set(), []
    for node in model.get_ordered_ops():
        names = dense_names(name for output in node.outputs() for name in output.get_names())
        if names:
            waiting.append(node)
        if any(name.startswith('rpn_') for name in names):
            last |= _last_convolution(node)
    while waiting:
        node = waiting.pop()
        if node.get_friendly_name() not in dense:
            dense.add(node.get_friendly_name())
            waiting += [source.get_source_output().get_node() for source in node.inputs()]
    names = [
        node.get_friendly_name()
        for node in model.get_ordered_ops()
        if (node.get_friendly_name() not in dense or node.get_type_name() == 'GroupConvolution')
        and node.get_type_name() not in ('Result', 'Parameter', 'Constant')
    ]
    return names + sorted(last | _stem(model))


def _last_convolution(node: 'Node') -> set[str]:
    """Names of an operation and of what precedes it, back to the convolution."""
    names = {node.get_friendly_name()}
    if node.get_type_name() != 'Convolution':
        for entry in node.inputs():
            source = entry.get_source_output().get_node()
            if source.get_type_name() not in ('Constant', 'Convert'):
                names |= _last_convolution(source)
    return names


def _stem(model: 'Model') -> set[str]:
    """The first convolution, and the addition of its bias."""
    (images,) = (p for p in model.inputs if 'images' in p.get_names())
    names, waiting = set(), list(images.get_target_inputs())
    while waiting:
        node = waiting.pop().get_node()
        if node.get_type_name() in ('Convolution', 'Add'):
            names.add(node.get_friendly_name())
        if node.get_type_name() in ('Convolution', 'Convert'):
            waiting += [target for out in node.outputs() for target in out.get_target_inputs()]
    return names
