"""A server from its start to its end: addresses, signals, exit codes, the real detector."""

import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from lighthead import cli
from lighthead.errors import UserError
from lighthead.serving.run import bound_socket, is_loopback

from .stub import Client, picture, serving, wait_until

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = """
import sys, time
from lighthead import cli
from lighthead.serving import run
sys.path.insert(0, 'tests/serving')
import stub

class Slow(stub.StubDetector):
    def detect(self, loaded, wanted):
        time.sleep(0.3)
        return super().detect(loaded, wanted)

run.ServeOptions.open_detector = lambda options, model: Slow()
sys.exit(cli.main(['serve', 'stub', '--port', '0', '--batch-size', '1']))
"""


@pytest.mark.parametrize(('number', 'code'), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_the_server_after_the_requests_in_flight(number, code):
    process = subprocess.Popen(
        [sys.executable, '-c', SCRIPT], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    try:
        line = process.stdout.readline()
        client = Client(int(line.partition('127.0.0.1:')[2].split()[0]))
        assert 'POST an image to http://127.0.0.1:' in line
        with ThreadPoolExecutor(4) as pool:
            futures = [pool.submit(client, '/detect', picture()) for _ in range(4)]
            wait_until(lambda: client('/health').data['waiting'] == 4)
            process.send_signal(number)
            assert [future.result().status for future in futures] == [200] * 4
        assert process.wait(60) == code
        assert process.stderr.read() == ''
    finally:
        process.kill()
        process.communicate()


def test_a_port_in_use_is_an_error_message():
    with bound_socket('127.0.0.1', 0) as listener:
        listener.listen()
        port = listener.getsockname()[1]
        with pytest.raises(UserError, match=rf'127.0.0.1, port {port}, .*another --port'):
            bound_socket('127.0.0.1', port)


def test_an_address_of_another_machine_is_an_error_message():
    with pytest.raises(UserError, match=r'192.0.2.1, port 0, cannot be served'):
        bound_socket('192.0.2.1', 0)


@pytest.mark.parametrize(
    ('host', 'loopback'),
    [('127.0.0.1', True), ('::1', True), ('localhost', True), ('0.0.0.0', False), ('::', False)],
)
def test_loopback(host, loopback):
    assert is_loopback(host) is loopback


def test_an_extra_that_is_not_installed_is_named(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, 'fastapi', None)
    assert cli.main(['serve', 'lighthead-people']) == 2
    assert "pip install 'lighthead[serve]'" in capsys.readouterr().err


def test_answers_are_those_of_the_detector(checkpoint, pictures):
    from lighthead import Detector

    detector = Detector(checkpoint, score_thr=0.05, batch_size=4)
    barrier = threading.Barrier(len(pictures))

    def ask(path: Path) -> dict:
        barrier.wait()
        return client('/detect', path.read_bytes()).data

    with serving(detector, batch_window=200) as client, ThreadPoolExecutor(len(pictures)) as pool:
        answers = list(pool.map(ask, pictures))
        few = client('/detect?classes=cat&score_thr=0.1', pictures[0].read_bytes()).data
    for answer, path in zip(answers, pictures, strict=True):
        expected = detector(path).to_dict()
        assert answer['names'] == expected['names']
        np.testing.assert_allclose(answer['boxes'], expected['boxes'], atol=0.01)
        np.testing.assert_allclose(answer['scores'], expected['scores'], atol=1e-5)
    assert sum(len(answer['names']) for answer in answers) > 10
    expected = detector(pictures[0], score_thr=0.1, classes='cat')
    assert few['labels'] == expected.labels.tolist()
