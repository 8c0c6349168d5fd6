"""scikit-learn is imported when mmdet calls it, and is the real one then."""

import importlib.util
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec('sklearn') is None, reason='scikit-learn is not installed'
)
LAZY = """
import sys
import lighthead
import mmdet.models
assert not [name for name in sys.modules if name.partition('.')[0] == 'sklearn']
import numpy as np
from mmdet.models.dense_heads import paa_head
from mmdet.models.task_modules.tracking import interpolation
mixture = paa_head.skm.GaussianMixture(2)
import sklearn.mixture
from sklearn.gaussian_process import GaussianProcessRegressor
assert isinstance(mixture, sklearn.mixture.GaussianMixture)
assert isinstance(interpolation.GPR(interpolation.RBF(1.0)), GaussianProcessRegressor)
track = np.arange(28, dtype=float).reshape(4, 7)
smooth = interpolation.InterpolateTracklets(use_gsi=True)
assert np.isfinite(smooth.gaussian_smoothed_interpolation(track, 10)).all()
print('done')
"""
THERE = """
import sys
import sklearn
import lighthead
import mmdet.models.dense_heads.paa_head as paa_head
assert sys.modules['sklearn'] is sklearn and paa_head.skm is sklearn.mixture
print('done')
"""


@pytest.mark.parametrize('code', [LAZY, THERE], ids=['lazy', 'there before'])
def test_mmdet_without_scikit_learn(code):
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, timeout=300)
    assert done.stdout.endswith('done\n'), done.stderr
