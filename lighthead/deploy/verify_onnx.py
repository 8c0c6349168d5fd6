"""Checks of an ONNX file before a runtime reads it.

Runtimes are made for files that they trust. What is checked here: that the file is as it was
written (its checksum), that it needs no other file, that it has the inputs and outputs of a
detector and nothing but operators of the standard without subgraphs, and that every tensor has
the bytes that its shape asks for.
"""

import math
from typing import TYPE_CHECKING

from lighthead.deploy.metadata import INPUTS, OUTPUTS
from lighthead.deploy.seal import KEY, check_seal
from lighthead.errors import UserError, missing_extra

if TYPE_CHECKING:
    from onnx import ModelProto, TensorProto, ValueInfoProto

MAX_NODES = 20_000
MAX_DIMENSIONS = 8
RANKS = {'images': 4, 'sizes': 2, 'boxes': 3, 'scores': 2, 'labels': 2, 'num': 1}
"""Dimensions of each input and output."""
INTEGERS = ('labels', 'num')
"""int64; the others are float32."""


def parse_onnx(content: bytes, path: object) -> 'ModelProto':
    """The model in a file's content.

    Raises:
        UserError: it is no ONNX file of a detector, damaged, or needs another file.
    """
    try:
        import onnx
    except ImportError as error:
        raise missing_extra('onnx', 'export') from error
    try:
        model = onnx.load_model_from_string(content)
    except Exception as error:  # protobuf's
        raise _refusal(path, 'it is no ONNX file') from error
    try:
        metadata = metadata_of(model)
        if not all(isinstance(text, str) for entry in metadata.items() for text in entry):
            raise _refusal(path, 'its metadata is no text')
        check_seal(metadata.get(KEY), path, content)
        if reason := _fault(model):
            raise _refusal(path, reason)
        onnx.checker.check_model(model, full_check=True)
    except UserError:
        raise
    except Exception as error:  # onnx's and protobuf's errors have no common class
        raise _refusal(path, (str(error).strip() or 'damaged').splitlines()[0][:200]) from error
    return model


def metadata_of(model: 'ModelProto') -> dict[str, str]:
    """The metadata of a model."""
    return {entry.key: entry.value for entry in model.metadata_props}


def _refusal(path: object, reason: str) -> UserError:
    return UserError(
        f'{path} cannot be used ({reason}): give a file that tools/export.py wrote, or export the '
        'checkpoint again.'
    )


def _fault(model: 'ModelProto') -> str:
    """What is wrong with a model, '' where nothing is."""
    import onnx

    graph = model.graph
    if model.functions or model.training_info or graph.sparse_initializer:
        return 'it has functions, training information or sparse tensors'
    if [entry.domain for entry in model.opset_import] != ['']:
        return 'it has operators outside the ONNX standard'
    version = model.opset_import[0].version
    if not 1 <= version <= onnx.defs.onnx_opset_version():
        return f'its opset {version} is not known here'
    if len(graph.node) > MAX_NODES:
        return f'it has more than {MAX_NODES} operators'
    ends = ((graph.input, INPUTS), (graph.output, OUTPUTS))
    for values, names in ends:
        if tuple(value.name for value in values) != names or any(map(_wrong_type, values)):
            return f'its inputs or outputs are not {", ".join(names)}'
    tensors = list(graph.initializer)
    for node in graph.node:
        if node.domain or not onnx.defs.has(node.op_type, version):
            return f'its operator {node.op_type[:40]!r} is not in the ONNX standard'
        for attribute in node.attribute:
            if attribute.HasField('g') or attribute.graphs or attribute.HasField('sparse_tensor'):
                return f'its operator {node.op_type} has a subgraph'
            tensors += [attribute.t] if attribute.HasField('t') else []
            tensors += attribute.tensors
    return next((fault for fault in map(_tensor_fault, tensors) if fault), '')


def _wrong_type(value: 'ValueInfoProto') -> bool:
    from onnx import TensorProto

    kind = value.type.tensor_type
    expected = TensorProto.INT64 if value.name in INTEGERS else TensorProto.FLOAT
    return kind.elem_type != expected or len(kind.shape.dim) != RANKS[value.name]


def _tensor_fault(tensor: 'TensorProto') -> str:
    import onnx

    name = tensor.name[:40]
    if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
        return f'its tensor {name!r} lies in another file'
    if len(tensor.dims) > MAX_DIMENSIONS or any(side < 0 for side in tensor.dims):
        return f'its tensor {name!r} has an impossible shape'
    if tensor.HasField('raw_data'):
        try:
            item = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
        except Exception:  # a type that is not known
            return f'its tensor {name!r} has an unknown type'
        if item * math.prod(tensor.dims) != len(tensor.raw_data):
            return f'its tensor {name!r} has not the bytes of its shape'
    elif math.prod(tensor.dims) > tensor.ByteSize():
        return f'its tensor {name!r} has not the values of its shape'
    return ''
