"""Threads that share one detector get the answers of one thread, on every backend."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from lighthead import Detector

from .conftest import need

THREADS = 4
CALLS = 32
RUNTIMES = [('onnx', 'onnxruntime'), ('onnx', 'openvino'), ('openvino', 'openvino')]
RUNTIMES += [('torch', 'torch'), ('checkpoint', 'torch')]


def images() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    sizes = [(96, 120), (96, 120), (64, 200), (120, 96)]
    return [rng.integers(0, 256, (*size, 3), dtype=np.uint8) for size in sizes]


def open_detector(name: str, backend: str, precision: str | None, exported, checkpoint) -> Detector:
    need(backend)
    path = checkpoint if name == 'checkpoint' else exported(name)
    return Detector(path, 'cpu', backend, precision, score_thr=0.0, trust=name == 'torch')


@pytest.mark.parametrize(
    ('name', 'backend', 'precision'),
    [(*runtime, None) for runtime in RUNTIMES] + [('openvino', 'openvino', 'bf16')],
)
def test_four_threads(name, backend, precision, exported, checkpoint):
    if precision == 'bf16':
        need(backend)
        import openvino as ov

        if 'BF16' not in ov.Core().get_property('CPU', 'OPTIMIZATION_CAPABILITIES'):
            pytest.skip('this processor has no bf16')
    detector = open_detector(name, backend, precision, exported, checkpoint)
    pictures = images()
    alone = [detector(picture) for picture in pictures]
    assert min(len(detections) for detections in alone) > 10
    with ThreadPoolExecutor(THREADS) as pool:
        calls = (pictures[call % len(pictures)] for call in range(CALLS))
        together = list(pool.map(detector, calls))
    for call, detections in enumerate(together):
        expected = alone[call % len(pictures)]
        assert detections.image_size == expected.image_size
        np.testing.assert_allclose(detections.scores, expected.scores, atol=1e-5)
        np.testing.assert_allclose(detections.boxes, expected.boxes, atol=1e-2)
        assert detections.names == expected.names
