"""A small image folder, made anew: six classes of textures and shapes, each mostly of a hue.

``python coloured_shapes.py OUT_DIR [TRAIN_IMAGES_PER_CLASS] [VAL_IMAGES_PER_CLASS]``
"""

import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

SIZE = 72


def _grid(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, float, float]:
    y, x = np.mgrid[:SIZE, :SIZE].astype(np.float32)
    return x, y, rng.uniform(0, 2 * np.pi), rng.uniform(7, 11)


def stripes_across(rng: np.random.Generator) -> np.ndarray:
    _, y, phase, period = _grid(rng)
    return np.sin(2 * np.pi * y / period + phase)


def stripes_upright(rng: np.random.Generator) -> np.ndarray:
    x, _, phase, period = _grid(rng)
    return np.sin(2 * np.pi * x / period + phase)


def checks(rng: np.random.Generator) -> np.ndarray:
    x, y, phase, period = _grid(rng)
    return np.sign(np.sin(2 * np.pi * x / period + phase) * np.sin(2 * np.pi * y / period))


def disc(rng: np.random.Generator) -> np.ndarray:
    canvas = np.full((SIZE, SIZE), -1, np.float32)
    centre = rng.integers(26, SIZE - 26, 2).tolist()
    return cv2.circle(canvas, centre, int(rng.integers(15, 24)), 1, -1)


def ring(rng: np.random.Generator) -> np.ndarray:
    canvas = np.full((SIZE, SIZE), -1, np.float32)
    centre = rng.integers(26, SIZE - 26, 2).tolist()
    return cv2.circle(canvas, centre, int(rng.integers(16, 24)), 1, 4)


def noise(rng: np.random.Generator) -> np.ndarray:
    return np.sign(rng.standard_normal((SIZE, SIZE)))


CLASSES: dict[str, Callable[[np.random.Generator], np.ndarray]] = {
    'across': stripes_across,
    'checks': checks,
    'disc': disc,
    'noise': noise,
    'ring': ring,
    'upright': stripes_upright,
}


def draw(pattern: np.ndarray, hue: float, rng: np.random.Generator) -> np.ndarray:
    """A pattern in -1..1 of a hue (turns) on any dark colour, noisy: (SIZE, SIZE, 3) uint8."""
    hue = (hue + rng.normal(0, 0.04)) % 1
    bright = 150 + 90 * np.cos(2 * np.pi * (hue + np.arange(3) / 3))
    dark = rng.uniform(0, 90, 3)
    share = (pattern[..., None] + 1) / 2
    image = dark + share * (bright - dark) + rng.normal(0, 8, (SIZE, SIZE, 3))
    return image.clip(0, 255).astype(np.uint8)


def make(root: Path, train: int, val: int) -> None:
    """Write ``root/train/<class>/*.jpg`` and ``root/val/<class>/*.jpg``."""
    for number, (name, pattern) in enumerate(CLASSES.items()):
        for split, count in (('train', train), ('val', val)):
            folder = root / split / name
            folder.mkdir(parents=True)
            for index in range(count):
                rng = np.random.default_rng([number, split == 'val', index])
                cv2.imwrite(
                    str(folder / f'{index:03}.jpg'), draw(pattern(rng), number / len(CLASSES), rng)
                )


if __name__ == '__main__':
    counts = [int(value) for value in sys.argv[2:]] or [100, 30]
    make(Path(sys.argv[1]), *counts)
