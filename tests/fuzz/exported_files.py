"""Odd exported files: mutated as bytes, and in their structure with a checksum that fits again."""

import importlib.util
import json
import random
import re
from pathlib import Path

import numpy as np

from lighthead.deploy import seal
from lighthead.deploy.metadata import file_parts
from lighthead.inference.runtimes.exported import open_exported

from ..deploy.tiny_files import write_tiny

ODD = ['', '[]', '{}', 'null', 'NaN', '1e999', '-1', '[' * 3000, '"' + 'x' * 10**5 + '"', 'true']
ODD_NUMBERS = ['-1', '0', '1', '2147483648', '9' * 20, '1.5', '', 'x', '-9223372036854775808']


def reseal(content: bytes, *more: bytes) -> bytes:
    """The content with a checksum that fits, where it still has one."""
    checksums = re.findall(rb'(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])', content)
    if not checksums:
        return content
    return seal.sealed(content.replace(checksums[-1], seal.UNSEALED.encode()), *more)


def mutate_bytes(rng: random.Random, content: bytes) -> bytes:
    """Some bytes changed, left out, doubled or put in."""
    data = bytearray(content)
    for _ in range(rng.choice([1, 1, 1, 2, 8, 64])):
        at = rng.randrange(len(data)) if data else 0
        size = rng.choice([1, 1, 4, 100, 1000])
        kind = rng.randrange(6)
        if kind == 0 and data:
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 1 and data:
            data[at] = rng.choice([0, 1, 0x7F, 0x80, 0xFF])
        elif kind == 2:
            del data[at : at + size]
        elif kind == 3:
            data[at:at] = data[at : at + size]
        elif kind == 4:
            data[at:at] = rng.randbytes(size)
        elif rng.random() < 0.2:
            del data[at:]
    return bytes(data)


def mutate_onnx(rng: random.Random, content: bytes) -> bytes:
    """Something of a model changed: a node, a tensor, an input, the metadata."""
    import onnx

    model = onnx.load_model_from_string(content)
    for _ in range(rng.choice([1, 1, 2, 4])):
        change_onnx(rng, model)
    return reseal(model.SerializeToString())


def change_onnx(rng: random.Random, model) -> None:
    """One change of an :class:`onnx.ModelProto`."""
    import onnx

    graph = model.graph
    node, tensor = rng.choice(graph.node), rng.choice(graph.initializer)
    value = rng.choice([*graph.input, *graph.output])
    entry = rng.choice(model.metadata_props)
    number = rng.choice([-(2**63), -1, 0, 1, 2, 3, 64, 2**20, 2**31, 2**62])
    changes = [
        lambda: setattr(node, 'op_type', rng.choice(['If', 'Loop', 'Expand', 'Tile', 'Foo'])),
        lambda: setattr(node, 'op_type', rng.choice(graph.node).op_type),
        lambda: node.input.pop() if node.input else None,
        lambda: node.input.append(rng.choice([tensor.name, value.name, 'nowhere'])),
        lambda: node.attribute.append(onnx.helper.make_attribute('axis', number)),
        lambda: [a.ints.append(number) for a in node.attribute],
        lambda: graph.node.remove(node) if len(graph.node) > 1 else None,
        lambda: graph.node.append(node),
        lambda: tensor.dims.append(max(number, -(2**62))),
        lambda: setattr(tensor, 'raw_data', rng.randbytes(len(tensor.raw_data))),
        lambda: setattr(tensor, 'raw_data', tensor.raw_data[:-1]),
        lambda: setattr(tensor, 'data_type', rng.randrange(30)),
        lambda: setattr(tensor, 'data_location', 1),
        lambda: tensor.external_data.add(key='location', value='/etc/passwd'),
        lambda: setattr(value, 'name', rng.choice(['x', 'images', ''])),
        lambda: setattr(value.type.tensor_type, 'elem_type', rng.randrange(25)),
        lambda: value.type.tensor_type.shape.dim.add(dim_value=number),
        lambda: setattr(model.opset_import[0], 'version', number),
        lambda: model.opset_import.add(domain='com.microsoft', version=1),
        lambda: setattr(model, 'ir_version', max(number, 0)),
        lambda: setattr(entry, 'value', rng.choice(ODD)),
        lambda: setattr(entry, 'value', mutate_json(rng, entry.value)),
        lambda: setattr(entry, 'key', rng.choice(['x', 'classes', 'sha256'])),
    ]
    rng.choice(changes)()


def mutate_json(rng: random.Random, text: str) -> str:
    """A JSON text with some value replaced."""
    try:
        data = json.loads(text)
    except (RecursionError, ValueError):
        return text
    odd = [None, -1, 0, 10**30, 1e308, True, 'x' * 300, [], {}, [[]], ['a'] * 20_000, {'a': 1}]
    if isinstance(data, dict) and data:
        data[rng.choice([*data, 'unknown'])] = rng.choice(odd)
    elif isinstance(data, list) and data:
        data[rng.randrange(len(data))] = rng.choice(odd)
    else:
        data = rng.choice(odd)
    return json.dumps(data)


def mutate_xml(rng: random.Random, content: bytes) -> bytes:
    """Some attributes of an OpenVINO text changed, or lines left out, doubled or swapped."""
    text = content.decode()
    for _ in range(rng.choice([1, 1, 2, 4])):
        attributes = list(re.finditer(r'([\w-]+)="([^"]*)"', text))
        if rng.random() < 0.7 and attributes:
            one = rng.choice(attributes)
            other = rng.choice(attributes).group(2)
            value = rng.choice([*ODD_NUMBERS, other, other, 'If', 'f64', 'i4', '?', '0,?'])
            text = text[: one.start(2)] + value + text[one.end(2) :]
        else:
            lines = text.splitlines(keepends=True)
            at = rng.randrange(len(lines))
            lines[at : at + 1] = rng.choice([[], [lines[at]] * 2, [rng.choice(lines)]])
            text = ''.join(lines)
    return text.encode()


def mutate_ncnn(rng: random.Random, source: Path, folder: Path) -> Path:
    """Write an odd network: words of its text changed, lines moved, or its metadata changed."""
    text, weights, about = (part.read_bytes() for part in file_parts(source))
    lines = text.decode().splitlines()
    for _ in range(rng.choice([0, 1, 1, 2, 4])):
        at = rng.randrange(len(lines))
        words = lines[at].split(' ')
        word = rng.randrange(len(words))
        key, sign, _ = words[word].partition('=')
        value = rng.choice([*ODD_NUMBERS, '2', '3', '8', '16', rng.choice(words), '1,2', '-233'])
        words[word] = key + sign + value if sign else value
        other = rng.choice(lines)
        lines[at : at + 1] = rng.choice([[' '.join(words)]] * 6 + [[], [other], [lines[at]] * 2])
    text = '\n'.join(lines).encode() + b'\n'
    if rng.random() < 0.2:
        text = mutate_bytes(rng, text)
    if rng.random() < 0.1:
        weights = mutate_bytes(rng, weights)
    if rng.random() < 0.2:
        strings = json.loads(about)
        key = rng.choice([*strings])
        strings[key] = rng.choice([rng.choice(ODD), mutate_json(rng, strings[key])])
        about = json.dumps(strings).encode()
    path = folder / 'odd.ncnn.param'
    contents = text, weights, reseal(about, text, weights)
    for part, content in zip(file_parts(path), contents, strict=True):
        part.write_bytes(content)
    return path


def mutate(rng: random.Random, source: Path, folder: Path) -> Path:
    """Write an odd file."""
    if source.suffix == '.param':
        return mutate_ncnn(rng, source, folder)
    content = source.read_bytes()
    path = folder / f'odd{source.suffix}'
    weights = b''
    if source.suffix == '.xml':
        weights = source.with_suffix('.bin').read_bytes()
        if rng.random() < 0.1:
            weights = mutate_bytes(rng, weights)
        path.with_suffix('.bin').write_bytes(weights)
    if rng.random() < 0.3:
        content = mutate_bytes(rng, content)
        if rng.random() < 0.5:
            content = reseal(content, *([weights] if weights else []))
    elif source.suffix == '.xml':
        content = reseal(mutate_xml(rng, content), weights)
    else:
        content = mutate_onnx(rng, content)
    path.write_bytes(content)
    return path


class ExportedFiles:
    """Odd exported files of a tiny detector, opened and run."""

    megabytes = 5 * 1024
    """Two runtimes, and torch where a backend imports it."""

    def __init__(self, folder: Path) -> None:
        onnx, xml = (write_tiny(kind, folder) for kind in ('onnx', 'openvino'))
        self.sources = [(onnx, 'onnxruntime'), (onnx, 'openvino'), (xml, 'openvino')]
        if importlib.util.find_spec('ncnn') is not None:
            self.sources.append((write_tiny('ncnn', folder), 'ncnn'))
        self.folder = folder

    def make(self, rng: random.Random) -> None:
        """Write the next odd file."""
        source, self.kind = rng.choice(self.sources)
        self.path = mutate(rng, source, self.folder)

    def read(self) -> None:
        """Open and run it."""
        opened, _ = open_exported(self.path, self.kind, threads=1)
        opened(np.zeros((1, 3, 64, 64), np.float32), [(64, 64)])
