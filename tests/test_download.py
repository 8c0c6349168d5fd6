"""Downloads from a local server that breaks off, stalls, lies and serves other files."""

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest

from lighthead import download
from lighthead.download import DownloadError, RemoteFile, download_file
from lighthead.errors import UserError

CONTENT = bytes(range(256)) * 4096
SHA256 = f'sha256:{hashlib.sha256(CONTENT).hexdigest()}'
PIECE = len(CONTENT) // 5


class Server(ThreadingHTTPServer):
    """Serves :data:`CONTENT` in the way that ``behaviour`` names."""

    behaviour = 'good'
    ranges: list[str | None]
    stopped: threading.Event


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        server, asked = self.server, self.headers.get('Range')
        server.ranges.append(asked)
        if server.behaviour == 'missing':
            self.send_error(404)
            return
        start = int(asked[6:-1]) if asked and server.behaviour != 'no ranges' else 0
        if start >= len(CONTENT):
            self.send_error(416)
            return
        body = CONTENT[start:]
        if server.behaviour == 'corrupt':
            body = bytes([body[0] ^ 1]) + body[1:]
        claimed = len(body) + (100 if server.behaviour == 'lies' else 0)
        self.send_response(206 if start else 200)
        self.send_header('Content-Length', str(claimed))
        if start:
            total = start + claimed
            self.send_header('Content-Range', f'bytes {start}-{total - 1}/{total}')
        self.end_headers()
        if server.behaviour in ('breaks off', 'stalls'):
            body = body[:PIECE]
        self.wfile.write(body)
        if server.behaviour == 'stalls':
            self.wfile.flush()
            server.stopped.wait(3)

    def log_message(self, *args: object) -> None:
        """Be quiet."""


@pytest.fixture
def server(monkeypatch) -> Iterator[Server]:
    monkeypatch.setattr(download.time, 'sleep', lambda seconds: None)
    server = Server(('127.0.0.1', 0), Handler)
    server.ranges, server.stopped = [], threading.Event()
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield server
    server.stopped.set()
    server.shutdown()
    thread.join()
    server.server_close()


def remote(server: Server, size: int | None = len(CONTENT), checksum: str | None = SHA256):
    return RemoteFile(f'http://127.0.0.1:{server.server_port}/file.zip', size, checksum)


@pytest.mark.parametrize('size', [len(CONTENT), None])
def test_a_whole_file_arrives(server, tmp_path, size):
    sizes = []
    path = download_file(remote(server, size), tmp_path / 'new' / 'file.zip', sizes.append)
    assert path.read_bytes() == CONTENT
    assert sizes[-1] == len(CONTENT)
    assert [p.name for p in path.parent.iterdir()] == ['file.zip']
    download_file(remote(server, size), path)
    assert server.ranges == [None]  # it was not asked for again


@pytest.mark.parametrize(('behaviour', 'timeout'), [('breaks off', 10), ('stalls', 0.3)])
def test_the_rest_is_asked_for(server, tmp_path, behaviour, timeout):
    server.behaviour = behaviour
    path = download_file(remote(server), tmp_path / 'file.zip', timeout=timeout)
    assert path.read_bytes() == CONTENT
    assert server.ranges[:3] == [None, f'bytes={PIECE}-', f'bytes={2 * PIECE}-']


def test_another_process_goes_on(server, tmp_path):
    (tmp_path / 'file.zip.part').write_bytes(CONTENT[:1000])
    assert download_file(remote(server), tmp_path / 'file.zip').read_bytes() == CONTENT
    assert server.ranges == ['bytes=1000-']


def test_a_server_without_ranges_starts_again(server, tmp_path):
    server.behaviour = 'no ranges'
    (tmp_path / 'file.zip.part').write_bytes(b'x' * 1000)
    assert download_file(remote(server), tmp_path / 'file.zip').read_bytes() == CONTENT


def test_a_complete_part_is_verified_and_taken(server, tmp_path):
    (tmp_path / 'file.zip.part').write_bytes(CONTENT)
    assert download_file(remote(server), tmp_path / 'file.zip').read_bytes() == CONTENT


@pytest.mark.parametrize(
    ('behaviour', 'message'),
    [
        ('missing', '404'),
        ('corrupt', 'sha256 is'),
        ('lies', 'another file'),
    ],
)
def test_what_is_not_the_file_is_refused(server, tmp_path, behaviour, message):
    server.behaviour = behaviour
    with pytest.raises(DownloadError, match=message):
        download_file(remote(server), tmp_path / 'file.zip')
    assert list(tmp_path.iterdir()) == []


def test_a_length_that_never_comes_is_given_up(server, tmp_path):
    server.behaviour = 'lies'
    with pytest.raises(DownloadError, match='cannot be downloaded'):
        download_file(remote(server, size=None), tmp_path / 'file.zip')
    assert not (tmp_path / 'file.zip').exists()


def test_a_server_that_is_not_there(tmp_path):
    with pytest.raises(DownloadError, match='cannot be downloaded'):
        download_file(RemoteFile('http://127.0.0.1:9/file.zip'), tmp_path / 'file.zip')


def test_space_is_checked_first(server, tmp_path, monkeypatch):
    monkeypatch.setattr(download.shutil, 'disk_usage', lambda path: SimpleNamespace(free=1000))
    with pytest.raises(UserError, match='GiB are free'):
        download_file(remote(server), tmp_path / 'file.zip')
    assert server.ranges == []
