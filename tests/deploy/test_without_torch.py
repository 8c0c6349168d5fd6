"""docs/deploy/detect.py gives the detections of Detector, without torch and lighthead."""

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from lighthead import Detector

SCRIPT = Path(__file__).resolve().parents[2] / 'docs' / 'deploy' / 'detect.py'
RUN = """
import runpy, sys
for name in ('torch', 'lighthead', 'mmdet', 'mmcv'):
    sys.modules[name] = None  # importing it fails
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name='__main__')
"""


@pytest.mark.parametrize('size', [(96, 120), (300, 210)])
def test_the_same_detections(exported, tmp_path, size):
    path = exported('onnx')
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (9, 11, 3), dtype=np.uint8)
    photo = tmp_path / 'photo.png'
    cv2.imwrite(str(photo), cv2.resize(coarse, size[::-1]))
    printed = subprocess.run(
        [sys.executable, '-c', RUN, SCRIPT, path, photo, '0.05'],
        check=True,
        capture_output=True,
        text=True,
        timeout=300,
    ).stdout
    assert printed == f'{Detector(path, score_thr=0.05)(photo)}\n'
    assert printed.count('\n') > 5
