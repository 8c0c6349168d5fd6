"""What follows the convolutions, in numpy against torch, from the same maps."""

import numpy as np
import pytest
import torch

from lighthead.deploy.box_codings import BoxCodings
from lighthead.deploy.eager_suppression import eager_detector
from lighthead.deploy.export_ncnn import box_codings
from lighthead.inference.numpy_stages.ps_roi_align import ps_roi_align
from lighthead.inference.numpy_stages.stages import Maps, detect
from lighthead.ops.ps_roi_align import ps_roi_align as torch_ps_roi_align

from ..small_detector import random_detector, small_config

SIZE = (110, 150)


@pytest.mark.parametrize(
    ('mode', 'class_agnostic', 'score_thr'),
    [('max', True, 0.05), ('avg', True, 0.0), ('max', False, 0.1)],
)
@torch.inference_mode()
def test_equals_torch(mode, class_agnostic, score_thr):
    cfg = small_config(mode, class_agnostic, score_thr, (300, 120))
    stages = eager_detector(random_detector(cfg))
    image = torch.randn(1, 3, 128, 160)
    maps = stages.dense_maps(image)
    expected = stages.detect_in(maps, torch.tensor([SIZE]).float())
    arrays = Maps([x[0].numpy() for x in maps.scores], [x[0].numpy() for x in maps.boxes],
                  maps.thin[0].numpy())  # fmt: skip
    codings = BoxCodings.parse_json(box_codings(stages).to_json(), 'x')

    def head(pooled: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        logits, deltas = stages.head(torch.from_numpy(pooled))
        return logits.numpy(), deltas.numpy()

    found = detect(arrays, SIZE, stages.settings, codings, head)
    count = int(expected.num[0])
    assert len(found.scores) == count > 20
    np.testing.assert_array_equal(found.labels, expected.labels[0, :count])
    np.testing.assert_allclose(found.scores, expected.scores[0, :count], atol=1e-5)
    np.testing.assert_allclose(found.boxes, expected.boxes[0, :count], atol=5e-3)


@pytest.mark.parametrize('mode', ['avg', 'max'])
def test_pooling_at_and_beyond_the_border(mode):
    cfg = small_config(mode)
    settings = eager_detector(random_detector(cfg)).settings
    thin = torch.randn(1, 490, 5, 7)
    rois = torch.tensor([[-60.0, -40, 30, 20], [10, 10, 11, 11], [100, 60, 400, 300], [0, 0, 0, 0]])
    pooled = ps_roi_align(thin[0].numpy(), rois.numpy(), settings)
    channel_first = thin.view(1, 49, 10, 5, 7).transpose(1, 2).reshape(1, 490, 5, 7)
    indexed = torch.cat((torch.zeros(4, 1), rois), dim=1)
    expected = torch_ps_roi_align(
        channel_first, indexed, settings.bins, 1 / settings.stride, settings.sampling_ratio, mode
    )
    assert expected.abs().sum() > 1
    np.testing.assert_allclose(
        pooled.reshape(4, 49, 10), expected.flatten(2).transpose(1, 2), atol=1e-5
    )


def test_everything_stays_in_single_precision():
    cfg = small_config('max')
    stages = eager_detector(random_detector(cfg))
    maps = Maps([np.zeros((15, 2, 3), np.float32)], [np.zeros((60, 2, 3), np.float32)],
                np.zeros((490, 1, 2), np.float32))  # fmt: skip
    seen = []

    def head(pooled: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        seen.append(pooled.dtype)
        return np.zeros((len(pooled), 4), np.float32), np.zeros((len(pooled), 4), np.float32)

    found = detect(maps, SIZE, stages.settings, box_codings(stages), head)
    assert seen == [np.float32]
    assert found.boxes.dtype == found.scores.dtype == np.float32
