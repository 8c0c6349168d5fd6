"""Odd exported files: each is used, or refused with a UserError; never anything else.

    python -m tests.deploy.fuzz_exported --inputs 10000

Files are mutated as bytes, and in their structure with a checksum that fits again. They are opened
in child processes, so that a crash or a hang of a runtime is seen; a child's memory is limited.
"""

import argparse
import json
import multiprocessing
import random
import re
import resource
import tempfile
from collections import Counter
from pathlib import Path

from lighthead.deploy import seal

SECONDS = 60
"""An input that takes longer hangs."""
MEMORY = 6 * 2**30
"""Address space of a child, with torch and two runtimes in it."""
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


def mutate(seed: int, source: Path, folder: Path) -> Path:
    """Write the odd file number ``seed``."""
    rng = random.Random(seed)
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


def try_file(path: Path, backend: str) -> str:
    """What becomes of a file: 'used', 'refused', or the exception's name."""
    import torch

    from lighthead.errors import UserError
    from lighthead.inference.runtimes.exported import open_exported

    try:
        runtime, _ = open_exported(path, backend, threads=1)
        runtime(torch.zeros(1, 3, 64, 64), [(64, 64)])
    except UserError as error:
        return 'refused' if len(str(error)) < 2000 else 'refused at length'
    except Exception as error:
        return f'traceback: {type(error).__name__}: {str(error)[:100]}'
    return 'used'


def work(seeds: range, sources: list[tuple[Path, str]], folder: Path, pipe) -> None:
    """Try a range of inputs and send what became of each."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for seed in seeds:
        source, backend = sources[seed % len(sources)]
        pipe.send((seed, backend, try_file(mutate(seed, source, folder), backend)))


def fuzz(sources: list[tuple[Path, str]], inputs: int, first: int = 0) -> Counter:
    """Outcomes by (backend, outcome); crashes and hangs included."""
    outcomes: Counter = Counter()
    context = multiprocessing.get_context('fork')
    seed, last = first, first + inputs
    with tempfile.TemporaryDirectory() as folder:
        while seed < last:
            here, there = context.Pipe()
            arguments = (range(seed, last), sources, Path(folder), there)
            child = context.Process(target=work, args=arguments)
            child.start()
            there.close()
            while seed < last:
                try:
                    outcome = here.recv() if here.poll(SECONDS) else 'hang'
                except EOFError:
                    outcome = 'crash'
                if isinstance(outcome, str):
                    outcomes[sources[seed % len(sources)][1], outcome] += 1
                    print(f'input {seed}: {outcome}', flush=True)
                    seed += 1
                    break
                seed = outcome[0] + 1
                outcomes[outcome[1:]] += 1
                if outcome[2] not in ('used', 'refused'):
                    print(f'input {outcome[0]}: {outcome[1]}: {outcome[2]}', flush=True)
            child.kill()
            child.join()
    return outcomes


def main() -> None:
    from .tiny_files import write_tiny

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--inputs', type=int, default=10_000)
    parser.add_argument('--first', type=int, default=0, help='number of the first input')
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        onnx, xml = (write_tiny(kind, Path(name)) for kind in ('onnx', 'openvino'))
        sources = [(onnx, 'onnxruntime'), (onnx, 'openvino'), (xml, 'openvino')]
        outcomes = fuzz(sources, args.inputs, args.first)
    for (backend, outcome), count in sorted(outcomes.items()):
        print(f'{backend}: {outcome}: {count}')


if __name__ == '__main__':
    main()
