"""COCO from a local server: complete, verified, unpacked safely, and only once."""

import hashlib
import io
import threading
import zipfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from lighthead.data import coco_download
from lighthead.data.coco_download import Archive, download_coco, unpack
from lighthead.errors import UserError

FILES = {
    'annotations/annotations_trainval2017.zip': {
        'annotations/instances_train2017.json': b'{}',
        'annotations/instances_val2017.json': b'{}',
        'annotations/captions_val2017.json': b'not needed',
    },
    'zips/val2017.zip': {'val2017/1.jpg': b'one', 'val2017/2.jpg': b'two'},
}


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        """Be quiet."""


def zipped(members: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, 'w') as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


@pytest.fixture
def server(tmp_path, monkeypatch):
    archives = {}
    for name, path in zip(('annotations', 'val'), FILES, strict=True):
        data = zipped(FILES[path])
        (tmp_path / 'server' / path).parent.mkdir(parents=True)
        (tmp_path / 'server' / path).write_bytes(data)
        known = coco_download.ARCHIVES[name]
        checksum = f'md5:{hashlib.md5(data).hexdigest()}'
        archives[name] = Archive(path, len(data), checksum, known.members)
    monkeypatch.setattr(coco_download, 'ARCHIVES', archives)
    handler = partial(QuietHandler, directory=str(tmp_path / 'server'))
    server = ThreadingHTTPServer(('127.0.0.1', 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield f'http://127.0.0.1:{server.server_port}'
    server.shutdown()
    thread.join()
    server.server_close()


def test_parts_are_downloaded_and_unpacked_once(server, tmp_path):
    arrived = []
    root = tmp_path / 'coco'
    download_coco(root, ['val', 'annotations'], lambda *args: arrived.append(args), server)
    files = sorted(str(p.relative_to(root)) for p in root.rglob('*') if p.is_file())
    assert files == [
        '.annotations.complete',
        '.val.complete',
        'annotations/instances_train2017.json',
        'annotations/instances_val2017.json',
        'val2017/1.jpg',
        'val2017/2.jpg',
    ]
    assert {name for name, _, _ in arrived} == {'val', 'annotations'}
    download_coco(root, ['val'], lambda *args: None, 'http://127.0.0.1:9')  # asks nobody


def test_a_corrupted_archive_is_refused(server, tmp_path):
    path = tmp_path / 'server' / 'zips' / 'val2017.zip'
    data = bytearray(path.read_bytes())
    data[40] ^= 1
    path.write_bytes(data)
    with pytest.raises(UserError, match='md5 is'):
        download_coco(tmp_path / 'coco', ['val'], lambda *args: None, server)
    assert not (tmp_path / 'coco' / 'val2017').exists()


@pytest.mark.parametrize('name', ['val2017/../../evil.jpg', '/val2017/x.jpg', 'val2017/a\\b.jpg'])
def test_members_outside_the_folder_are_refused(tmp_path, name):
    (tmp_path / 'x.zip').write_bytes(zipped({'val2017/1.jpg': b'one', name: b'evil'}))
    with pytest.raises(UserError, match='refused'):
        unpack(tmp_path / 'x.zip', tmp_path / 'out', ('val2017/', '/val2017/'))
    assert not (tmp_path / 'out').exists()


def test_links_and_bombs_are_refused(tmp_path):
    link = zipfile.ZipInfo('val2017/link')
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / 'link.zip', 'w') as archive:
        archive.writestr(link, '/etc/passwd')
    with zipfile.ZipFile(tmp_path / 'bomb.zip', 'w', zipfile.ZIP_DEFLATED) as archive:
        archive.writestr('val2017/bomb', bytes(10_000_000))
    for name in ('link.zip', 'bomb.zip'):
        with pytest.raises(UserError, match='refused'):
            unpack(tmp_path / name, tmp_path / 'out', ('val2017/',))


def test_a_damaged_archive_is_reported(tmp_path):
    (tmp_path / 'x.zip').write_bytes(b'PK no zip')
    with pytest.raises(UserError, match='is damaged'):
        unpack(tmp_path / 'x.zip', tmp_path / 'out', ('val2017/',))
