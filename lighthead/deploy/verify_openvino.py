"""Checks of an OpenVINO file (.xml with .bin) before OpenVINO reads it.

As :mod:`lighthead.deploy.verify_onnx`, for its own format: OpenVINO trusts offsets and sizes that
stand in the text.
"""

import math
from collections.abc import Iterator
from xml.etree.ElementTree import Element

import defusedxml.ElementTree

from lighthead.deploy.metadata import INPUTS, OUTPUTS
from lighthead.deploy.seal import KEY, check_seal
from lighthead.errors import UserError

MAX_LAYERS = 50_000
MAX_DIMENSIONS = 8
MAX_SIDE = 2**40
CHILDREN = {'data', 'input', 'output', 'rt_info'}
"""Of a layer; others, such as bodies of loops, are refused."""
BITS = {
    'boolean': 8, 'bf16': 16, 'f16': 16, 'f32': 32, 'f64': 64, 'i8': 8, 'i16': 16, 'i32': 32,
    'i64': 64, 'u8': 8, 'u16': 16, 'u32': 32, 'u64': 64,
}  # fmt: skip
"""Of the types that weights may have."""


def verify_openvino(content: bytes, weights: bytes, path: object) -> dict[str, str]:
    """Check the content of both files; return their metadata.

    Raises:
        UserError: it is no detector, or damaged.
    """
    metadata: dict[str, str] = {}
    try:
        net = defusedxml.ElementTree.fromstring(content)
        for section in ('framework', 'lighthead'):  # the first is an ONNX file's
            for entry in net.find(f'rt_info/{section}') or ():
                metadata[entry.tag] = entry.get('value', '')
        check_seal(metadata.get(KEY), path, content, weights)
        reason = next(_faults(net, len(weights)), '')
    except UserError:
        raise
    except Exception as error:  # the parser's errors, and numbers that are none
        reason = f'{type(error).__name__}: {error}'.splitlines()[0][:200]
    if reason:
        raise UserError(
            f'{path} cannot be used ({reason}): give a file that tools/export.py wrote with its '
            '.bin next to it, or export the checkpoint again.'
        )
    return metadata


def _faults(net: Element, weight_bytes: int) -> Iterator[str]:
    """What is wrong with a net."""
    layers, edges = net.find('layers'), net.find('edges')
    if net.tag != 'net' or layers is None or edges is None:
        yield 'it is no OpenVINO model'
        return
    if not 0 < len(layers) <= MAX_LAYERS:
        yield f'it has no layers, or more than {MAX_LAYERS}'
        return
    ports: dict[str | None, dict[str, set[str]]] = {}
    for layer in layers:
        yield from _layer_faults(layer, weight_bytes)
        number = layer.get('id', '')
        if number in ports:
            yield f'two layers have the id {number[:20]}'
        ports[number] = {
            side: {port.get('id', '') for port in layer.iterfind(f'{side}/port')}
            for side in ('input', 'output')
        }
    for edge in edges:
        source, target = ports.get(edge.get('from-layer')), ports.get(edge.get('to-layer'))
        if (
            edge.tag != 'edge'
            or source is None
            or target is None
            or edge.get('from-port') not in source['output']
            or edge.get('to-port') not in target['input']
        ):
            yield 'an edge leads nowhere'
    names = [layer.get('name') for layer in layers if layer.get('type') == 'Parameter']
    if sorted(map(str, names)) != sorted(INPUTS):
        yield f'its inputs are not {", ".join(INPUTS)}'
    outputs = {
        name
        for port in net.iterfind('layers/layer/output/port')
        for name in port.get('names', '').split(',')
    }
    results = sum(layer.get('type') == 'Result' for layer in layers)
    if not set(OUTPUTS) <= outputs or results != len(OUTPUTS):
        yield f'its outputs are not {", ".join(OUTPUTS)}'


def _layer_faults(layer: Element, weight_bytes: int) -> Iterator[str]:
    kind = layer.get('type', '')[:40]
    if layer.tag != 'layer' or not layer.get('id', '').isdigit():
        yield 'a layer has no id'
    if not layer.get('version', '').startswith('opset'):
        yield f'its operator {kind!r} is not in the standard'
    if any(child.tag not in CHILDREN for child in layer):
        yield f'its operator {kind} has a subgraph'
    for port in layer.iterfind('*/port'):
        sides = [int(side.text or '') for side in port.iterfind('dim')]
        if len(sides) > MAX_DIMENSIONS or any(not -1 <= side <= MAX_SIDE for side in sides):
            yield f'its operator {kind} has an impossible shape'
    if kind == 'Const':
        yield from _constant_faults(layer.find('data'), weight_bytes)


def _constant_faults(data: Element | None, weight_bytes: int) -> Iterator[str]:
    bits = None if data is None else BITS.get(data.get('element_type', ''))
    if data is None or bits is None:
        yield 'a constant has an unknown type'
        return
    shape = [int(side) for side in data.get('shape', '').split(',') if side.strip()]
    offset, size = int(data.get('offset', '')), int(data.get('size', ''))
    if any(side < 0 for side in shape) or len(shape) > MAX_DIMENSIONS:
        yield 'a constant has an impossible shape'
    if not 0 <= offset <= offset + size <= weight_bytes:
        yield 'a constant lies outside the .bin file'
    if size * 8 != math.prod(shape) * bits:
        yield 'a constant has not the bytes of its shape'
