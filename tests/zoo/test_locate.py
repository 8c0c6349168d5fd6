"""From a name to a file: the package's models, paths, addresses."""

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch

from lighthead.errors import UserError
from lighthead.zoo import locate
from lighthead.zoo.entries import entries

CONTENT = b'weights' * 1000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Handler(BaseHTTPRequestHandler):
    """CONTENT for every address."""

    def do_GET(self) -> None:
        self.server.requests.append(self.path)
        self.send_response(200)
        self.send_header('Content-Length', str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT)

    def log_message(self, *args) -> None:
        """Quiet."""


@pytest.fixture
def server(tmp_path, monkeypatch) -> Iterator[ThreadingHTTPServer]:
    """A web server on this machine, an empty cache, no proxy."""
    monkeypatch.setenv('TORCH_HOME', str(tmp_path))
    monkeypatch.setattr(torch.hub, '_hub_dir', None)
    monkeypatch.setenv('no_proxy', '127.0.0.1')
    server = ThreadingHTTPServer(('127.0.0.1', 0), Handler)
    server.requests = []
    server.url = f'http://127.0.0.1:{server.server_port}/people.safetensors'
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize('name', sorted(entries()))
def test_every_model_of_the_package_is_whole(name) -> None:
    path = locate.locate_model(name)
    assert locate.file_sha256(path) == entries()[name].sha256
    assert path.stat().st_size < 10e6


@pytest.mark.parametrize('name', ['people.pth', 'folder/people', 'model.onnx'])
def test_paths_stay_as_they_are(name) -> None:
    assert locate.locate_model(name) == Path(name)


def test_an_unknown_name_lists_the_models() -> None:
    with pytest.raises(UserError, match='lighthead-people'):
        locate.locate_model('lighthead-peple')


@pytest.mark.parametrize('ending', ['', f'#sha256={SHA256}'])
def test_an_address_is_downloaded_once(server, ending) -> None:
    path = locate.locate_model(server.url + ending)
    assert path.read_bytes() == CONTENT
    assert locate.locate_model(server.url + ending) == path
    assert len(server.requests) == 1


def test_a_damaged_file_in_the_cache_is_downloaded_again(server) -> None:
    name = f'{server.url}#sha256={SHA256}'
    locate.locate_model(name).write_bytes(b'damaged')
    assert locate.locate_model(name).read_bytes() == CONTENT


def test_another_file_is_refused(server) -> None:
    with pytest.raises(UserError, match='not the expected file'):
        locate.locate_model(f'{server.url}#sha256={"0" * 64}')


def test_a_damaged_package_is_reported(monkeypatch, tmp_path) -> None:
    entry = entries()['lighthead-people']
    monkeypatch.setattr(type(entry), 'path', tmp_path / 'gone.safetensors')
    with pytest.raises(UserError, match='install lighthead again'):
        locate.model_file(entry)
