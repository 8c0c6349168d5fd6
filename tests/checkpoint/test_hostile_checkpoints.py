"""Nothing that a checkpoint says runs, imports, connects or reads a file."""

import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmdet.registry import MODELS, TASK_UTILS

from lighthead import Detector
from lighthead.checkpoint.checkpoint_files import save_checkpoint_file
from lighthead.checkpoint.specification import Specification, read_specification
from lighthead.commands.export_job import export
from lighthead.commands.infer import main as infer
from lighthead.errors import UserError

from ..command_line import parse
from ..small_detector import small_config, write_checkpoint


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory) -> Path:
    return write_checkpoint(small_config(), tmp_path_factory.mktemp('hostile') / 'detector.pth')


@pytest.fixture(scope='module')
def text(checkpoint: Path) -> str:
    return torch.load(checkpoint, weights_only=True)['meta']['specification']


@pytest.fixture
def server() -> Iterator[tuple[str, list[str]]]:
    """An address on this machine, and the paths that were asked for there."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

    with http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f'http://127.0.0.1:{running.server_port}/weights.pth', asked
        running.shutdown()


def places(node: object, path: tuple = ()) -> Iterator[tuple]:
    """The way to every value inside JSON data."""
    items = node.items() if isinstance(node, dict) else enumerate(node)
    for key, value in items:
        yield (*path, key)
        if isinstance(value, dict | list):
            yield from places(value, (*path, key))


def edited(text: str, path: tuple, value: object) -> str:
    data = json.loads(text)
    node = data
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value
    return json.dumps(data)


def write(checkpoint: Path, specification: str, target: Path) -> Path:
    content = torch.load(checkpoint, weights_only=True)
    content['meta']['specification'] = specification
    save_checkpoint_file(content, target)
    return target


def test_a_registered_class_that_connects_is_not_built(
    checkpoint: Path, text: str, server: tuple[str, list[str]], tmp_path: Path
) -> None:
    url, asked = server
    picture = tmp_path / 'picture.png'
    cv2.imwrite(str(picture), np.zeros((8, 8, 3), np.uint8))
    evil = dict(
        type='AppearanceFreeLink',
        checkpoint=url,
        init_cfg=dict(type='Pretrained', checkpoint=url),
    )
    for place in (('detector',), ('detector', 'neck'), ('detector', 'backbone', 'init_cfg')):
        path = write(checkpoint, edited(text, place, evil), tmp_path / 'evil.pth')
        with pytest.raises(UserError, match='refused'):
            Detector(path, device='cpu')
        with pytest.raises(UserError, match='refused'):
            infer(parse('infer', path, picture))
        with pytest.raises(UserError, match='refused'):
            export(parse('export', path, out=tmp_path / 'evil.onnx'))
    assert asked == []
    assert not (tmp_path / 'evil.onnx').exists()


def test_no_other_registered_type_is_accepted_anywhere(text: str) -> None:
    kinds = [place for place in places(json.loads(text)) if place[-1] == 'type']
    assert len(kinds) > 10
    registered = sorted({*MODELS.module_dict, *TASK_UTILS.module_dict, 'os.system', 'mmdet.ResNet'})
    for place in kinds:
        accepted = set()
        for name in registered:
            try:
                Specification.parse_json(edited(text, place, name), 'it')
            except UserError:
                continue
            accepted.add(name)
        allowed = {'AuthorsShuffleNetV2', 'ShuffleNetV2', 'ShuffleNetV2SE', 'BN', 'SyncBN'}
        allowed |= {'ReLU', 'ReLU6', 'LeakyReLU', 'SiLU', 'Swish', 'HSwish', 'GELU', 'Mish'}
        own = json.loads(text)
        for key in place:
            own = own[key]
        assert accepted <= allowed | {own}, place


@pytest.mark.parametrize(
    'value',
    [
        'os.system', '{{ fileBasename }}', 'http://127.0.0.1/', {'type': 'os.system'}, [[1]],
        None, -1, 10**9, 10**30, 1e308, float('nan'), float('inf'), True, '', 'x' * 10**6,
    ],
    ids=lambda value: str(value)[:20],
)  # fmt: skip
def test_any_value_anywhere_is_used_or_refused(text: str, value: object) -> None:
    for place in places(json.loads(text)):
        message = ''
        try:
            Specification.parse_json(edited(text, place, value), 'it').model_cfg()
        except UserError as error:
            message = str(error)
        assert len(message) < 800
        assert '\n' not in message


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('{', 'Invalid JSON'),
        ('[' * 100_000, 'Invalid JSON|recursion'),
        ('[1]', 'refused'),
        ('{}', 'detector'),
        ('{"a": ' + '9' * 100_000 + '}', 'Invalid JSON|refused'),
        ('"\ud800"', 'not valid text|refused|Invalid JSON'),
        ('x' * 4_000_001, 'not a text of at most'),
        (b'{}', 'not a text'),
        (None, 'no specification'),
        ([], 'not a text'),
    ],
    ids=str,
)
def test_malformed_texts(text: object, message: str) -> None:
    with pytest.raises(UserError, match=message):
        read_specification({'specification': text}, 'it.pth')


def test_the_config_in_a_checkpoint_is_a_record_that_nothing_reads(
    checkpoint: Path, tmp_path: Path
) -> None:
    content = torch.load(checkpoint, weights_only=True)
    content['meta']['config_record'] = '{"model": {"type": "os.system"'
    save_checkpoint_file(content, tmp_path / 'record.pth')
    assert Detector(tmp_path / 'record.pth', device='cpu').classes == ['cat', 'dog', 'Straßenbahn']
