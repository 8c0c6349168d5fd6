"""A detector without a network, that waits when it is asked to, and a server in a thread."""

import json
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.client import HTTPConnection

import cv2
import numpy as np
import uvicorn

from lighthead.inference.detector import Detector, ImageResult
from lighthead.inference.loading import LoadedImage
from lighthead.inference.preprocess import Preprocess
from lighthead.inference.results import Detections
from lighthead.inference.wanted import Wanted
from lighthead.serving.app import create_app
from lighthead.serving.options import ServeOptions
from lighthead.serving.run import bound_socket
from lighthead.serving.service import Service

RED = 77
"""An image whose first pixel has this much red makes the detector fail."""


class StubDetector:
    """Two boxes in every image, one of each class; its scores say how red the image is.

    Attributes:
        go: Cleared, it holds the network.
        batches: Sizes of the batches so far.
    """

    classes, score_thr, iou_thr = ['cat', 'Straße'], 0.3, 0.5
    device, path, preprocess = 'cpu', 'models/stub.onnx', Preprocess((64, 48))

    def __init__(self) -> None:
        self.go = threading.Event()
        self.go.set()
        self.batches: list[int] = []

    wanted = Detector.wanted

    def __call__(self, image: np.ndarray) -> Detections:
        return next(self.detect([self.load(image)], self.wanted())).detections

    def load(self, image: np.ndarray) -> LoadedImage:
        return LoadedImage('', image.shape[:2], image, image[:1, :1])

    def detect(self, loaded: Sequence[LoadedImage], wanted: Wanted) -> Iterator[ImageResult]:
        assert self.go.wait(30)
        reds = [int(one.resized[0, 0, 2]) for one in loaded]
        if RED in reds:
            raise ValueError('red')
        self.batches.append(len(loaded))
        for one, red in zip(loaded, reds, strict=True):
            yield ImageResult(one.source, one.image, self._boxes(one.size, red))

    def _boxes(self, size: tuple[int, int], red: int) -> Detections:
        boxes = np.array([[1, 2, 30, 20], [2, 2, 30, 20]], np.float32)
        scores = np.array([red / 255, red / 510], np.float32)
        return Detections.from_arrays(boxes, scores, np.array([0, 1]), self.classes, size)


def picture(red: int = 255, size: tuple[int, int] = (48, 64), suffix: str = '.png') -> bytes:
    """A red image file, (height, width)."""
    image = np.zeros((*size, 3), np.uint8)
    image[..., 2] = red
    return cv2.imencode(suffix, image)[1].tobytes()


class Answer:
    """An answer of a server."""

    def __init__(self, connection: HTTPConnection) -> None:
        response = connection.getresponse()
        self.status, self.headers = response.status, dict(response.getheaders())
        self.content = response.read()

    @property
    def data(self) -> dict:
        return json.loads(self.content)


class Client:
    """Asks a server; threads may share one."""

    def __init__(self, port: int) -> None:
        self.port = port

    def __call__(
        self, path: str, body: bytes | None = None, method: str | None = None, **headers: str
    ) -> Answer:
        connection = HTTPConnection('127.0.0.1', self.port, timeout=60)
        names = {name.replace('_', '-'): value for name, value in headers.items()}
        connection.request(method or ('GET' if body is None else 'POST'), path, body, names)
        answer = Answer(connection)
        connection.close()
        return answer


def form(content: bytes, file: str | None = 'a.png') -> tuple[bytes, str]:
    """A multipart form with one file, or for None one field: its body and its content type."""
    ending = '' if file is None else f'; filename="{file}"'
    head = f'--x\r\nContent-Disposition: form-data; name="image"{ending}\r\n\r\n'
    return head.encode() + content + b'\r\n--x--\r\n', 'multipart/form-data; boundary=x'


@contextmanager
def serving(
    detector: object, hosts: list[str] | None = None, **options: object
) -> Iterator[Client]:
    """A server in a thread."""
    settings = ServeOptions('stub', port=0, **options)
    app = create_app(Service(detector, settings), hosts)
    server = uvicorn.Server(uvicorn.Config(app, log_level='critical', lifespan='on'))
    with bound_socket('127.0.0.1', 0) as listener:
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        wait_until(lambda: server.started)
        yield Client(listener.getsockname()[1])
        server.should_exit = True
        thread.join(30)
        assert not thread.is_alive()


def wait_until(true, seconds: float = 60) -> None:
    """Wait until ``true()``."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, 'it did not become true'
        time.sleep(0.01)
