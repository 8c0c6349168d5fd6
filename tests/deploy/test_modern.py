"""The modern detector on the fast path and in files: the answers of mmdet's own prediction."""

from copy import deepcopy
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from mmdet.models.detectors import BaseDetector
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import DefaultScope
from torch import nn

from lighthead.deploy import fixed_size
from lighthead.deploy.check_export import check_export
from lighthead.deploy.eager_suppression import eager_detector
from lighthead.deploy.exportable_suppression import exportable_detector
from lighthead.deploy.fixed_size import fixed_size_detector
from lighthead.errors import UserError
from lighthead.inference.runtimes.exported import open_exported
from lighthead.inference.runtimes.torch_backend import EagerBackend, MmdetBackend, torch_backend
from lighthead.ops.fixed_nms import fixed_nms

from .conftest import need, write_all

CPU = torch.device('cpu')
CONFIG = Path(__file__).resolve().parents[2] / 'configs' / 'modern' / 'lighthead_modern.py'
SIZES = [(128, 150), (110, 160), (128, 160)]


@pytest.fixture(scope='module')
def model() -> BaseDetector:
    """Five classes, random weights with scores and boxes that differ from place to place."""
    cfg = Config.fromfile(CONFIG).model
    cfg.backbone.update(init_cfg=None, frozen_stages=-1)
    cfg.roi_head.bbox_head.num_classes = 5
    with torch.random.fork_rng(), DefaultScope.overwrite_default_scope('mmdet'):
        torch.manual_seed(0)
        model = MODELS.build(cfg)
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                nn.init.normal_(module.running_mean, std=0.2)
                nn.init.uniform_(module.weight, 1.0, 1.6)
        for conv in (*model.rpn_head.scores, *model.rpn_head.boxes):
            nn.init.normal_(conv.weight, std=0.3)
        for conv in model.rpn_head.scores:
            nn.init.constant_(conv.bias, -1.0)
        nn.init.normal_(model.roi_head.bbox_head.fc_cls.weight, std=0.1)
        nn.init.normal_(model.roi_head.bbox_head.fc_reg.weight, std=0.02)
    return model.eval()


def images() -> torch.Tensor:
    batch = torch.randn(3, 3, 128, 160, generator=torch.Generator().manual_seed(3))
    for image, (height, width) in zip(batch, SIZES, strict=True):
        image[:, height:] = 0
        image[:, :, width:] = 0
    return batch


@pytest.mark.parametrize(
    'build', [eager_detector, fixed_size_detector, exportable_detector], ids=lambda f: f.__name__
)
def test_equals_mmdet(model, build, monkeypatch):
    monkeypatch.setattr(fixed_size, 'fixed_nms', partial(fixed_nms, rounds=100))
    batch = images()
    expected = MmdetBackend(deepcopy(model), CPU, 'fp32')(batch, SIZES)
    with torch.inference_mode():
        outputs = build(model).eval()(batch, torch.tensor(SIZES).float())
    assert outputs.num.sum() > 20
    for index, one in enumerate(expected):
        count = int(outputs.num[index])
        assert count == len(one.scores)
        np.testing.assert_allclose(outputs.scores[index, :count], one.scores, atol=1e-5)
        np.testing.assert_allclose(outputs.boxes[index, :count], one.boxes, atol=5e-3)
        np.testing.assert_array_equal(outputs.labels[index, :count], one.labels)


def test_takes_the_fast_path(model):
    backend = torch_backend(deepcopy(model), CPU, 'fp32')
    assert type(backend) is EagerBackend
    expected = MmdetBackend(deepcopy(model), CPU, 'fp32')(images(), SIZES)
    for found, one in zip(backend(images(), SIZES), expected, strict=True):
        np.testing.assert_allclose(found.scores, one.scores, atol=1e-4)
        distances = np.abs(found.boxes[:, None] - one.boxes[None]).max(axis=2)
        assert distances.min(axis=1).max() < 1e-2


@pytest.mark.slow
def test_files_agree_with_torch(model, tmp_path):
    need('onnx')
    files = write_all(model, tmp_path)
    for path, backend, precision in files:
        runtime, _ = open_exported(path, backend, precision=precision, threads=1, trust=True)
        if precision == 'bf16':
            assert len(runtime(images(), SIZES)) == 3
            continue
        if path.suffix == '.pt2':  # a level of stride 64 has more than one pixel
            with pytest.raises(UserError, match='64 x 96 pixels: each side must have 65 or more'):
                runtime(np.zeros((1, 3, 64, 96), np.float32), [(64, 96)])
        results = check_export(model, runtime)
        assert all(one.ok for one in results.values()), {k: str(v) for k, v in results.items()}
        assert sum(one.total for one in results.values()) > 100
