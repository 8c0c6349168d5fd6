"""The resizing that gives ARM the pixels of other processors."""

import numpy as np
import pytest

from lighthead.inference import preprocess
from lighthead.inference.preprocess import INTERPOLATIONS, Preprocess


@pytest.mark.parametrize('interpolation', sorted(INTERPOLATIONS))
@pytest.mark.parametrize('size', [(61, 80), (170, 211), (900, 700)])
def test_the_way_around_arm_kernels_changes_nothing_here(monkeypatch, interpolation, size):
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    steps = Preprocess((120, 90), interpolation=interpolation)
    monkeypatch.setattr(preprocess, 'ON_ARM', False)
    expected = steps.resize(image)
    monkeypatch.setattr(preprocess, 'ON_ARM', True)
    found = steps.resize(image)
    assert found.shape == expected.shape != image.shape
    assert found.flags.c_contiguous
    np.testing.assert_array_equal(found, expected)
