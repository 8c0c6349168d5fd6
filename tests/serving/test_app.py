"""The server's answers: detections as JSON, limits with a message, busy, numbers."""

import io
import socket
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from .stub import RED, Client, StubDetector, form, picture, serving, wait_until


@pytest.fixture(scope='module')
def client():
    with serving(StubDetector(), max_upload=0.01, max_pixels=0.01, upload_timeout=1.0) as client:
        yield client


def test_detections_have_the_form_of_to_json(client):
    expected = StubDetector()(np.full((48, 64, 3), 255, np.uint8)).to_json()
    raw = client('/detect', picture())
    body, kind = form(picture())
    assert (raw.status, raw.content.decode()) == (200, expected)
    assert client('/detect', body, content_type=kind).content == raw.content
    assert raw.headers['content-type'] == 'application/json'


@pytest.mark.parametrize(
    ('query', 'names'),
    [
        ('', ['cat', 'Straße']),
        ('?score_thr=0.6', ['cat']),
        ('?classes=Stra%C3%9Fe', ['Straße']),
        ('?classes=cat,Stra%C3%9Fe', ['cat', 'Straße']),
        ('?class_agnostic=true', ['cat']),
    ],
)
def test_a_request_chooses_its_detections(client, query, names):
    assert client(f'/detect{query}', picture()).data['names'] == names


def bomb() -> bytes:
    """A PNG of some hundred bytes that says it has 60000 x 60000 pixels."""

    def chunk(name: bytes, data: bytes) -> bytes:
        checksum = struct.pack('>I', zlib.crc32(name + data))
        return struct.pack('>I', len(data)) + name + data + checksum

    head = chunk(b'IHDR', struct.pack('>IIBBBBB', 60_000, 60_000, 8, 2, 0, 0, 0))
    pixels = chunk(b'IDAT', zlib.compress(bytes(1000)))
    return b'\x89PNG\r\n\x1a\n' + head + pixels + chunk(b'IEND', b'')


def large_gif() -> bytes:
    file = io.BytesIO()
    Image.new('P', (200, 100)).save(file, 'GIF')
    return file.getvalue()


REFUSED = [
    (b'', '', 422, 'is empty'),
    (b'no image', '', 422, 'cannot be read as an image: send a JPEG, PNG'),
    (b'%!PS-Adobe-3.0 EPSF-3.0\n', '', 422, 'cannot be read as an image'),
    (picture()[:60], '', 422, 'damaged or cut off'),
    (picture(suffix='.jpg')[:-40], '', 422, 'cut off'),
    (bomb(), '', 422, 'far too many pixels'),
    (picture(size=(110, 100)), '', 422, '100 x 110 pixels, and 0.01 million is the limit'),
    (large_gif(), '', 422, '200 x 100 pixels'),
    (bytes(11_000), '', 413, 'larger than the limit of 0.0099'),
    (bytes(100_000), '', 413, 'larger than the limit'),
    (picture(), '?score_thr=2', 422, 'score_thr: Input should be less than or equal to 1'),
    (picture(), '?score_thr=nan', 422, 'score_thr: '),
    (picture(), '?classes=dog', 422, "no class 'dog'"),
]


@pytest.mark.parametrize(('body', 'query', 'status', 'message'), REFUSED)
def test_what_cannot_be_used_is_refused_with_a_message(client, body, query, status, message):
    answer = client(f'/detect{query}', body)
    assert (answer.status, message in answer.data['detail']) == (status, True), answer.content


def test_an_image_under_the_type_that_curl_gives_every_body(client):
    answer = client('/detect', picture(), content_type='application/x-www-form-urlencoded')
    assert answer.status == 200, answer.content
    assert len(answer.data['boxes']) == len(client('/detect', picture()).data['boxes']) > 0


@pytest.mark.parametrize(
    ('body', 'kind', 'status', 'message'),
    [
        (b'a=b', 'application/x-www-form-urlencoded', 415, '--data-binary'),
        (b'--x\r\n', 'multipart/form-data', 400, 'boundary'),
        (b'nonsense', 'multipart/form-data; boundary=x', 400, 'cannot be read'),
        (form(b'a', file=None)[0], 'multipart/form-data; boundary=x', 422, 'holds no file'),
        (form(bytes(10_500))[0], 'multipart/form-data; boundary=x', 413, 'larger than'),
        (form(bytes(90_000))[0], 'multipart/form-data; boundary=x', 413, 'larger than'),
        (2 * form(b'a')[0][:-7] + b'\r\n--x--', 'multipart/form-data; boundary=x', 400, 'Too many'),
    ],
)
def test_forms_that_cannot_be_used(client, body, kind, status, message):
    answer = client('/detect', body, content_type=kind)
    assert (answer.status, message in answer.data['detail']) == (status, True), answer.content


def test_an_upload_without_a_stated_length_has_the_same_limit(client):
    def parts():
        for _ in range(30):
            yield bytes(1000)

    assert client('/detect', parts(), 'POST').status == 413


def test_an_upload_that_does_not_come_is_given_up(client):
    with socket.create_connection(('127.0.0.1', client.port), timeout=20) as connection:
        connection.sendall(b'POST /detect HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\nabc')
        assert b' 408 ' in connection.recv(1000).splitlines()[0]


def test_one_image_that_fails_does_not_take_the_others_of_its_batch_along():
    detector = StubDetector()
    with serving(detector, batch_size=4, batch_window=100) as client, ThreadPoolExecutor(4) as pool:
        bodies = [picture(red) for red in (200, RED, 201, 202)]
        answers = list(pool.map(lambda body: client('/detect', body), bodies))
    assert [answer.status for answer in answers] == [200, 500, 200, 200]
    assert answers[1].data == {'detail': 'Detection failed: an internal error of lighthead'}
    scores = [answers[index].data['scores'][0] for index in (0, 2, 3)]
    assert scores == pytest.approx([200 / 255, 201 / 255, 202 / 255], abs=1e-5)


def waiting(client: Client) -> int:
    return client('/health').data['waiting']


def test_requests_that_wait_become_batches():
    detector = StubDetector()
    with serving(detector, batch_size=4, batch_window=0) as client, ThreadPoolExecutor(9) as pool:
        detector.go.clear()
        first = pool.submit(client, '/detect', picture())
        wait_until(lambda: waiting(client) == 1)
        rest = [pool.submit(client, '/detect', picture(100 + n)) for n in range(8)]
        wait_until(lambda: waiting(client) == 9)
        detector.go.set()
        answers = [future.result() for future in (first, *rest)]
    assert {answer.status for answer in answers} == {200}
    scores = [answer.data['scores'][0] for answer in answers[1:]]
    assert scores == pytest.approx([(100 + n) / 255 for n in range(8)], abs=1e-5)
    assert sum(detector.batches) == 9
    assert max(detector.batches) == 4
    assert len(detector.batches) <= 4


def test_a_full_queue_is_said_at_once_and_empties_again():
    detector = StubDetector()
    with serving(detector, queue=2) as client, ThreadPoolExecutor(2) as pool:
        detector.go.clear()
        held = [pool.submit(client, '/detect', picture()) for _ in range(2)]
        wait_until(lambda: waiting(client) == 2)
        refused = client('/detect', picture())
        assert refused.status == 503
        assert int(refused.headers['retry-after']) >= 1
        assert 'busy: try again in' in refused.data['detail']
        detector.go.set()
        assert [future.result().status for future in held] == [200, 200]
        assert client('/detect', picture()).status == 200
        text = client('/metrics').content.decode()
    assert 'lighthead_requests_total{status="503"} 1.0' in text
    assert 'lighthead_requests_total{status="200"} 3.0' in text
    assert 'lighthead_detections_total 6.0' in text
    assert 'lighthead_waiting 0.0' in text
    assert 'lighthead_request_seconds_count 4.0' in text


def test_facts(client):
    assert client('/health').data == {'status': 'ok', 'waiting': 0, 'places': 32}
    model = client('/model').data
    assert (model['model'], model['classes']) == ('stub', ['cat', 'Straße'])
    assert model['max_pixels'] == 10_000
    assert '/detect' in client('/openapi.json').data['paths']
    assert f'127.0.0.1:{client.port}/detect' in client('/').content.decode()
    assert client('/docs').status == 404


@pytest.mark.parametrize(
    ('host', 'status'), [('evil.example', 400), ('localhost', 200), ('[::1]:8000', 200)]
)
def test_a_loopback_server_answers_to_names_of_this_machine_alone(host, status):
    from lighthead.serving.run import LOOPBACK_NAMES

    with serving(StubDetector(), LOOPBACK_NAMES) as client:
        assert client('/health', Host=host).status == status
