"""INT8 for ONNX Runtime, by its own static quantisation.

It computes a convolution in integers only where its result has 8 bits before any activation but
ReLU. In float stay the first convolution, the depthwise ones (ONNX Runtime 1.31 quantises most of
them all the same when it loads the file), the RPN's last, and everything behind the convolutions.
"""

import contextlib
import logging
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lighthead.deploy.metadata import INPUTS, dense_names
from lighthead.deploy.quantised_tensors import dense_nodes
from lighthead.errors import missing_extra

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto
    from onnxruntime.quantization import CalibrationDataReader

QUANTISED = ('Conv', 'Concat', 'MaxPool', 'Reshape', 'Relu', 'Slice', 'Split', 'Transpose')
"""ONNX operators that a quantised tensor may pass through."""
ADVICE = 'Please consider'
"""Begins ONNX Runtime's advice to run its own shape inference and optimiser first. The file has
its shapes, and is optimised when it is loaded."""


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
    with _without_advice():
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


@contextlib.contextmanager
def _without_advice() -> Iterator[None]:
    """Drop :data:`ADVICE` from the root logger, and the handler that its first message installs."""
    root = logging.getLogger()
    handlers = list(root.handlers)
    root.addFilter(_is_no_advice)
    try:
        yield
    finally:
        root.removeFilter(_is_no_advice)
        root.handlers[:] = handlers


def _is_no_advice(record: logging.LogRecord) -> bool:
    return not str(record.msg).startswith(ADVICE)


def _reader(inputs: Sequence[dict[str, np.ndarray]]) -> 'CalibrationDataReader':
    """The inputs as ONNX Runtime wants them."""
    from onnxruntime.quantization import CalibrationDataReader

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            self.iterator = iter(inputs)

        def get_next(self) -> dict | None:
            return next(self.iterator, None)

    return Reader()


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
