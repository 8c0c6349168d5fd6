"""Downloads are complete and checked, or end in a sentence that says where to put the file."""

import hashlib
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
import torchvision
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import DefaultScope

from lighthead.errors import UserError
from lighthead.weights import adapt_model_cfg, fetch, load_pretrained, resolve_weight_source

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
CONTENT = b'weights' * 1000
HASH = hashlib.sha256(CONTENT).hexdigest()[:8]
TORCHVISION_FILE = 'shufflenetv2_x0.5-f707e7126e.pth'


class Handler(BaseHTTPRequestHandler):
    """/cut/* promises more than it sends, /gone/* is a 404, the rest is CONTENT."""

    def do_GET(self) -> None:
        self.server.requests.append(self.path)
        if self.path.startswith('/gone/'):
            self.send_error(404)
            return
        self.send_response(200)
        extra = 10 if self.path.startswith('/cut/') else 0
        self.send_header('Content-Length', str(len(CONTENT) + extra))
        self.end_headers()
        self.wfile.write(CONTENT)

    def log_message(self, *args) -> None:
        """Quiet."""


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty download cache, and no proxy in front of this machine."""
    monkeypatch.setenv('TORCH_HOME', str(tmp_path))
    monkeypatch.setattr(torch.hub, '_hub_dir', None)
    monkeypatch.setenv('no_proxy', '127.0.0.1')
    return tmp_path / 'hub' / 'checkpoints'


@pytest.fixture
def server(cache: Path) -> Iterator[ThreadingHTTPServer]:
    """A web server on this machine."""
    server = ThreadingHTTPServer(('127.0.0.1', 0), Handler)
    server.requests = []
    server.url = f'http://127.0.0.1:{server.server_port}'
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def leftovers(cache: Path) -> list[Path]:
    return [path for path in cache.rglob('*') if path.is_file()]


def test_file_is_downloaded_once_and_checked(server, cache):
    url = f'{server.url}/good/net-{HASH}.pth'
    assert fetch.locate(url) == cache / f'net-{HASH}.pth'
    assert fetch.locate(url).read_bytes() == CONTENT
    assert server.requests == [f'/good/net-{HASH}.pth']


def test_equal_names_of_two_addresses_are_two_files(server):
    first, second = (fetch.locate(f'{server.url}/{folder}/best.pth') for folder in 'ab')
    assert first != second
    assert first.name == second.name == 'best.pth'


@pytest.mark.parametrize(
    ('path', 'reason'),
    [
        ('/good/net-deadbeef.pth', 'SHA-256 does not start with deadbeef'),
        ('/gone/net.pth', '404 Not Found'),
        ('/cut/net.pth', '7000 of 7010 bytes'),
    ],
)
def test_failed_downloads_leave_nothing_and_say_where_to_put_the_file(path, reason, server, cache):
    url = server.url + path
    with pytest.raises(UserError) as raised:
        fetch.locate(url)
    message = str(raised.value)
    assert reason in message
    assert f'put the file at {fetch.cache_path(url)}' in message
    assert '--from-scratch' in message
    assert leftovers(cache) == []


def test_servers_out_of_reach_do_not_keep_the_user_waiting(cache):
    with socket.socket() as silent:
        silent.bind(('127.0.0.1', 0))
        silent.listen()
        port = silent.getsockname()[1]
        start = time.monotonic()
        with pytest.raises(UserError, match='timed out'):
            fetch.locate(f'http://127.0.0.1:{port}/net.pth', timeout=0.3)
    with pytest.raises(UserError, match='refused'):
        fetch.locate(f'http://127.0.0.1:{port}/net.pth')
    assert time.monotonic() - start < 10


def test_an_unwritable_cache_is_the_users_to_solve(server, cache):
    cache.parent.mkdir(parents=True)
    cache.write_text('a file where a folder belongs')
    with pytest.raises(UserError, match='put the file at'):
        fetch.locate(f'{server.url}/good/net-{HASH}.pth')


def test_torchvision_comes_from_its_own_enum_and_cache(cache, build, realistic, caplog):
    weights = torchvision.models.ShuffleNet_V2_X0_5_Weights.DEFAULT
    checkpoint = 'torchvision://shufflenet_v2_x0_5'
    assert fetch.torchvision_weights(checkpoint) is weights
    assert fetch.cache_path(weights.url) == cache / TORCHVISION_FILE
    network = realistic(torchvision.models.shufflenet_v2_x0_5())
    cache.mkdir(parents=True)
    torch.save(network.state_dict(), cache / TORCHVISION_FILE)
    backbone = build(widen_factor=0.5)
    report = load_pretrained(backbone, checkpoint)
    assert (len(report.loaded), report.unused) == (280, [])
    assert torch.equal(backbone.conv5[0].weight, network.conv5[0].weight)
    assert report.source == resolve_weight_source(checkpoint)


@torch.no_grad()
def test_torchvisions_mobilenet_v2_loads_into_the_300m_cell(cache, realistic):
    weights = torchvision.models.MobileNet_V2_Weights.DEFAULT
    network = realistic(torchvision.models.mobilenet_v2())
    cache.mkdir(parents=True)
    torch.save(network.state_dict(), fetch.cache_path(weights.url))
    model = Config.fromfile(CONFIGS / 'table7' / 'mobilenetv2_300m.py').model
    model.backbone.update(
        init_cfg=dict(type='Pretrained', checkpoint='torchvision://mobilenet_v2'),
        frozen_stages=1,
        norm_eval=True,
    )
    adapt_model_cfg(model)
    assert model.data_preprocessor.mean == [123.675, 116.28, 103.53]
    with DefaultScope.overwrite_default_scope('mmdet'):
        backbone = MODELS.build(model.backbone)
    backbone.init_weights()
    images = torch.randn(1, 3, 64, 96)
    c4, c5 = backbone.eval()(images)
    torch.testing.assert_close(c4, network.features[:14](images), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(c5, network.features(images), atol=1e-5, rtol=1e-5)
    assert c5.std() > 0.05


def test_torchvision_without_network_says_where_to_put_the_file(cache, monkeypatch):
    def unreachable(*args, **kwargs):
        raise OSError('Name or service not known')

    monkeypatch.setattr(fetch.urllib.request, 'urlopen', unreachable)
    source = resolve_weight_source('torchvision://shufflenet_v2_x0_5')
    assert source.to_preprocessor() == dict(
        mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], bgr_to_rgb=True
    )
    with pytest.raises(UserError) as raised:
        fetch.locate('torchvision://shufflenet_v2_x0_5')
    assert f'put the file at {cache / TORCHVISION_FILE}' in str(raised.value)
    assert '--from-scratch' in str(raised.value)


@pytest.mark.parametrize(
    ('checkpoint', 'sentence'),
    [
        ('torchvision://shufflenet_v2_x3_0', 'torchvision://shufflenet_v2_x1_0'),
        ('open-mmlab://resnet50', 'come from torchvision://'),
        ('no/such/file.pth', r'no/such/file\.pth: no such file .*--from-scratch'),
        ('http://127.0.0.1/', 'names no file'),
    ],
)
def test_names_that_lead_nowhere(checkpoint, sentence, cache):
    with pytest.raises(UserError, match=sentence):
        fetch.locate(checkpoint)
