"""A detector whose backbone starts from weights: preprocessing, norms and conv5 fit together."""

from pathlib import Path

import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import Config, ConfigDict

from lighthead.errors import UserError
from lighthead.weights import WeightSource, adapt_model_cfg
from lighthead.weights.sources import META_KEY
from lighthead.weights.star import star_names

CONFIG = Path(__file__).resolve().parents[2] / 'configs' / 'lighthead_shufflev2star_x0_5.py'
SOURCE = WeightSource('test', 'torchvision', 'bgr', (0.0,) * 3, (255.0,) * 3, dict(type='ReLU'))


@pytest.fixture
def model_cfg(build, realistic, save) -> ConfigDict:
    """The 0.5x detector, its backbone from a file without conv5 that wants BGR 0..1."""
    weights = realistic(build(widen_factor=0.5)).state_dict()
    weights = {k: v for k, v in weights.items() if not k.startswith('conv5.')}
    checkpoint = save({'state_dict': weights, 'meta': {META_KEY: SOURCE.to_meta()}})
    cfg = Config.fromfile(CONFIG).model
    cfg.backbone.init_cfg = dict(type='Pretrained', checkpoint=checkpoint)
    for field in ('mean', 'std', 'bgr_to_rgb'):
        cfg.data_preprocessor[field] = None
    return cfg


def test_detector_starts_from_the_weights(model_cfg):
    assert adapt_model_cfg(model_cfg).color_order == 'bgr'
    model_cfg.backbone.update(norm_eval=True, frozen_stages=1)
    detector = MODELS.build(model_cfg)
    detector.init_weights()
    detector.train()
    backbone = detector.backbone
    assert [name for name, norm in backbone.norms().items() if norm.training] == ['conv5.1']
    learning = [n for n, p in backbone.stage2.named_parameters() if p.requires_grad]
    assert learning == star_names(learning), 'identities are not frozen'
    assert len(learning) == 3 * 4
    assert backbone.conv5[0].weight.std() > 0
    assert torch.allclose(detector.data_preprocessor.std, torch.tensor(255.0))


def test_mmdets_own_tools_stop_at_the_mismatch(model_cfg):
    model_cfg.data_preprocessor.update(
        mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], bgr_to_rgb=True
    )
    detector = MODELS.build(model_cfg)
    with pytest.raises(UserError, match=r'set model\.data_preprocessor\.mean=\[0\.0'):
        detector.init_weights()
