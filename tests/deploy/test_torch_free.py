"""An exported file runs where neither torch nor mmdet nor Pillow is installed."""

import json
import subprocess
import sys

import cv2
import numpy as np
import pytest

from lighthead import Detector

from .conftest import need

ABSENT = ('torch', 'torchvision', 'mmdet', 'mmcv', 'mmengine', 'PIL', 'matplotlib', 'pandas')
ABSENT += ('pycocotools', 'scipy', 'supervision', 'safetensors', 'tensorboard')
SCRIPT = f"""
import json, sys
from importlib.abc import MetaPathFinder

class Absent(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition('.')[0] in {ABSENT}:
            raise ModuleNotFoundError(f'No module named {{name!r}}', name=name)

sys.meta_path.insert(0, Absent())
from lighthead import Detector
from lighthead.inference.jobs.options import InferOptions
from lighthead.inference.jobs.run import infer

_, model, backend, image, out = sys.argv
detections = Detector(model, backend=backend, score_thr=0.0)(image)
detections.save(out + '/drawn.png')
assert infer(InferOptions(model, [image], out, backend=backend)) == 0
loaded = sorted(set({ABSENT}) & sys.modules.keys())
print(json.dumps(dict(detections.to_dict(), loaded=loaded)))
"""


@pytest.mark.parametrize(
    ('kind', 'backend'), [('onnx', 'onnxruntime'), ('openvino', 'openvino'), ('ncnn', 'ncnn')]
)
def test_the_same_detections_without_torch(exported, tmp_path, kind, backend):
    need(kind)
    image = np.random.default_rng(0).integers(0, 256, (96, 120, 3), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / 'a.png'), image)
    model = exported(kind)
    line = [sys.executable, '-c', SCRIPT, model, backend, tmp_path / 'a.png', tmp_path]
    done = subprocess.run(list(map(str, line)), capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found['loaded'] == []
    expected = Detector(model, backend=backend, score_thr=0.0)(image)
    assert len(found['scores']) == len(expected) > 10
    np.testing.assert_allclose(found['boxes'], expected.boxes, atol=1e-2)
    np.testing.assert_allclose(found['scores'], expected.scores, atol=1e-5)
    assert cv2.imread(str(tmp_path / 'drawn.png')).shape == image.shape
