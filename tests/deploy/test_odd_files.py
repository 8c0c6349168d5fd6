"""Damaged and odd exported files end in an error message, before a runtime reads them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from lighthead.errors import UserError
from lighthead.inference.runtimes.backend import MOST_THREADS
from lighthead.inference.runtimes.exported import open_exported
from lighthead.inference.runtimes.files import unpad

from ..fuzz.exported_files import reseal
from .conftest import need
from .tiny_files import write_tiny


@pytest.fixture(scope='module')
def tiny(tmp_path_factory) -> Callable[[str], Path]:
    """``tiny('onnx')``: the file of a tiny detector."""
    files: dict[str, Path] = {}

    def get(name: str) -> Path:
        need(name)
        if name not in files:
            files[name] = write_tiny(name, tmp_path_factory.mktemp(name))
        return files[name]

    return get


def run(path: Path, backend: str | None = None) -> list:
    opened, _ = open_exported(path, backend, threads=1)
    return opened(torch.zeros(1, 3, 32, 32), [(32, 32)])


@pytest.mark.parametrize(
    ('name', 'backend'),
    [('onnx', 'onnxruntime'), ('onnx', 'openvino'), ('openvino', 'openvino')],
)
def test_the_tiny_files_work(tiny, name, backend):
    need(backend if backend == 'openvino' else name)
    (detections,) = run(tiny(name), backend)
    assert detections.labels.tolist() == [0, 1]


def in_another_file(model) -> None:
    model.graph.initializer[0].external_data.add(key='location', value='weights.bin')


def subgraph(model) -> None:
    import onnx

    attribute = onnx.helper.make_attribute('then_branch', model.graph)
    model.graph.node[0].attribute.append(attribute)


def too_few_bytes(model) -> None:
    model.graph.initializer[0].dims[0] = 2**40


def other_outputs(model) -> None:
    model.graph.output[0].name = 'masks'


def unknown_operator(model) -> None:
    model.graph.node[-1].op_type = 'Nonsense'


def foreign_operators(model) -> None:
    model.opset_import.add(domain='com.microsoft', version=1)


def lost_node(model) -> None:
    del model.graph.node[0]


def unknown_label(model) -> None:
    (labels,) = (t for t in model.graph.initializer if t.name == 'label_values')
    labels.raw_data = np.array([[0, 7, -1]], np.int64).tobytes()


def too_many(model) -> None:
    (num,) = (t for t in model.graph.initializer if t.name == 'num_values')
    num.raw_data = np.array([9], np.int64).tobytes()


def nested_metadata(model) -> None:
    for entry in model.metadata_props:
        if entry.key == 'classes':
            entry.value = '[' * 100_000


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (in_another_file, 'lies in another file'),
        (subgraph, 'subgraph'),
        (too_few_bytes, 'has not the bytes of its shape'),
        (other_outputs, 'inputs or outputs are not'),
        (unknown_operator, 'not in the ONNX standard'),
        (foreign_operators, 'outside the ONNX standard'),
        (lost_node, 'cannot be used'),
        (unknown_label, 'impossible detections'),
        (too_many, 'impossible detections'),
        (nested_metadata, 'metadata'),
    ],
    ids=lambda value: getattr(value, '__name__', ''),
)
def test_odd_models(tiny, tmp_path, change, message):
    content = tiny('onnx').read_bytes()
    import onnx

    model = onnx.load_model_from_string(content)
    change(model)
    path = tmp_path / 'odd.onnx'
    path.write_bytes(reseal(model.SerializeToString()))
    with pytest.raises(UserError, match=message):
        run(path)


@pytest.mark.parametrize('name', ['onnx', 'openvino'])
def test_a_changed_byte_is_seen(tiny, tmp_path, name):
    source = tiny(name)
    content = bytearray(source.read_bytes())
    path = tmp_path / source.name
    if name == 'openvino':
        path.with_suffix('.bin').write_bytes(source.with_suffix('.bin').read_bytes())
    at = content.index(b'Sub')
    content[at] = ord('s')
    path.write_bytes(content)
    with pytest.raises(UserError, match='damaged'):
        run(path)


@pytest.mark.parametrize(
    ('old', 'new', 'message'),
    [
        (b'<layers>', b'<layers><layer/>', 'layer has no id'),
        (b'offset="0"', b'offset="99999999"', r'outside the \.bin file'),
        (b'to-layer="', b'to-layer="9', 'edge leads nowhere'),
        (b'version="opset1"', b'version="extension"', 'not in the standard'),
        (b'<data ', b'<body/><data ', 'subgraph'),
        (b'names="boxes"', b'names="masks"', 'outputs are not'),
        (b'<?xml', b'<!DOCTYPE a [<!ENTITY b "c">]><?xml', 'cannot be used'),
        (b'<net ', b'<web ', 'cannot be used'),
    ],
)
def test_odd_texts(tiny, tmp_path, old, new, message):
    source = tiny('openvino')
    content, weights = source.read_bytes(), source.with_suffix('.bin').read_bytes()
    assert old in content
    path = tmp_path / 'odd.xml'
    path.with_suffix('.bin').write_bytes(weights)
    path.write_bytes(reseal(content.replace(old, new, 1), weights))
    with pytest.raises(UserError, match=message):
        run(path)


def test_weights_are_needed(tiny, tmp_path):
    path = tmp_path / 'alone.xml'
    path.write_bytes(tiny('openvino').read_bytes())
    with pytest.raises(UserError, match=r'alone\.bin cannot be read'):
        run(path)


def test_files_without_a_checksum_are_read(tiny, tmp_path):
    """Files of earlier versions have none."""
    content = tiny('onnx').read_bytes()
    import onnx

    model = onnx.load_model_from_string(content)
    (entry,) = (entry for entry in model.metadata_props if entry.key == 'sha256')
    model.metadata_props.remove(entry)
    path = tmp_path / 'earlier.onnx'
    path.write_bytes(model.SerializeToString())
    assert len(run(path)) == 1


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (dict(device='evil'), "no device 'evil'"),
        (dict(threads=10**6), f'threads=1000000 is not in 1..{MOST_THREADS}'),
        (dict(backend='evil'), "no backend 'evil'"),
        (dict(precision='evil'), "precision='evil' is not possible"),
    ],
)
def test_odd_arguments(tiny, arguments, message):
    with pytest.raises(UserError, match=message):
        open_exported(tiny('onnx'), **arguments)


def test_outputs_of_wrong_shapes():
    boxes, scores, labels = np.zeros((1, 3, 4)), np.zeros((1, 3)), np.zeros((1, 3), np.int64)
    num = np.array([2])
    assert len(unpad(boxes, scores, labels, num, 1, Path('x'))[0].scores) == 2
    for odd in (
        (boxes, scores[None], labels, num),
        (boxes, scores[0], labels, num),
        (boxes[:, :2], scores, labels, num),
        (boxes, scores, labels, num[0]),
        (boxes, scores, labels, num.astype(np.float32)),
        (boxes, scores, labels.astype(np.float32), num),
    ):
        with pytest.raises(UserError, match='wrong shapes'):
            unpad(*odd, 1, Path('x'))
