"""A small detector as a checkpoint file, and pictures."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from ..small_detector import small_config, write_checkpoint


@pytest.fixture(scope='session')
def checkpoint(tmp_path_factory) -> Path:
    """A checkpoint file like those that training writes, without the training's state."""
    cfg = small_config(score_thr=0.0, proposals=(300, 100))
    return write_checkpoint(cfg, tmp_path_factory.mktemp('checkpoint') / 'detector.pth')


@pytest.fixture(scope='session')
def pictures(tmp_path_factory) -> list[Path]:
    """Five pictures of several sizes: discs on noise."""
    folder = tmp_path_factory.mktemp('pictures')
    rng = np.random.default_rng(0)
    paths = []
    for index, (height, width) in enumerate(
        [(96, 120), (200, 150), (96, 120), (64, 200), (96, 120)]
    ):
        image = cv2.resize(rng.integers(0, 256, (8, 10, 3), dtype=np.uint8), (width, height))
        for _ in range(6):
            centre = (int(rng.integers(width)), int(rng.integers(height)))
            colour = tuple(int(value) for value in rng.integers(0, 256, 3))
            cv2.circle(image, centre, int(rng.integers(8, 30)), colour, -1)
        paths.append(folder / f'picture{index}.png')
        cv2.imwrite(str(paths[-1]), image)
    return paths
