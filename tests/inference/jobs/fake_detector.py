"""A detector without a network: its boxes depend on the pixels alone, and it takes no time.

As a script it is ``lighthead infer`` with this detector, for tests that kill the process:
``python fake_detector.py OUT_DIR SECONDS_PER_IMAGE [--resume] INPUT...``.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from lighthead.cli import run
from lighthead.inference import detector as detector_module
from lighthead.inference.jobs.options import InferOptions
from lighthead.inference.jobs.run import infer
from lighthead.inference.preprocess import Preprocess
from lighthead.inference.runtimes.backend import OpenedModel, RawDetections
from lighthead.inference.runtimes.files import contiguous_batch

CLASSES = ['cat', 'dog', 'Straßenbahn']
CATEGORY_IDS = [3, 7, 20]


class FakeBackend:
    """Two overlapping boxes of different classes, and a third one; scores fall.

    Attributes:
        seconds: Time per image.
        before_batch: Called before each batch.
    """

    device = 'cpu'
    best_batch_size = 2
    make_batch = staticmethod(contiguous_batch)

    def __init__(self) -> None:
        self.seconds = 0.0
        self.before_batch = lambda: None
        self.images = 0

    def __call__(
        self, batch: np.ndarray, sizes: Sequence[tuple[int, int]], score_thr: float = 0.0
    ) -> list[RawDetections]:
        self.before_batch()
        time.sleep(self.seconds * len(sizes))
        self.images += len(sizes)
        return [_detect(row[:, :h, :w]) for row, (h, w) in zip(batch, sizes, strict=True)]


def _detect(pixels: np.ndarray) -> RawDetections:
    height, width = pixels.shape[1:]
    share = float(pixels.mean()) / 1024
    boxes = [[1, 2, width / 2, height / 2], [2, 2, width / 2, height / 2]]
    boxes.append([width * share, height * share, width, height])
    scores = [0.5 + share, 0.45, 0.2]
    return RawDetections(np.float32(boxes), np.float32(scores), np.array([0, 1, 2]))


def use_fake_detector(patch) -> FakeBackend:
    """Let every ``Detector`` have this backend; ``patch(module, name, value)`` sets it."""
    backend = FakeBackend()
    preprocess = Preprocess((160, 128), pad_divisor=32)
    opened = OpenedModel(backend, preprocess, CLASSES, CATEGORY_IDS, 0.5)
    patch(detector_module, 'open_model', lambda *_: opened)
    return backend


def write_images(folder: Path, count: int) -> list[Path]:
    """Noise of three sizes."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    paths = []
    for index in range(count):
        noise = rng.integers(0, 256, (8, 10, 3), dtype=np.uint8)
        paths.append(folder / f'{index:04d}.png')
        cv2.imwrite(str(paths[-1]), cv2.resize(noise, (120 + 20 * (index % 3), 96)))
    return paths


def main(_: argparse.Namespace) -> int:
    out_dir, seconds, *inputs = sys.argv[1:]
    backend = use_fake_detector(setattr)
    backend.seconds = float(seconds)
    resume = '--resume' in inputs
    inputs = [name for name in inputs if name != '--resume']
    model = Path(f'{out_dir}.onnx')
    model.write_bytes(b'a model')
    return infer(InferOptions(str(model), inputs, out_dir, resume=resume, batch_size=2))


if __name__ == '__main__':
    sys.exit(run(main, argparse.Namespace(debug=False)))
