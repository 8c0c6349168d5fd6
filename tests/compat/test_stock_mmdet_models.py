"""Detectors of mmdet, from the configs in its wheel, run on the stand-in of ``mmcv.ops``."""

import pytest
import torch
from mmdet.registry import MODELS
from mmdet.testing import demo_mm_inputs
from mmengine.config import Config
from mmengine.hub import get_config
from mmengine.logging import MessageHub
from mmengine.registry import DefaultScope

CONFIGS = {
    'Faster R-CNN': 'mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py',
    'RetinaNet': 'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py',
    'RTMDet-tiny': 'mmdet::rtmdet/rtmdet_tiny_8xb32-300e_coco.py',
    'YOLOX-tiny': 'mmdet::yolox/yolox_tiny_8xb8-300e_coco.py',
    'RepPoints (deformable convolutions)': (
        'mmdet::reppoints/reppoints-moment_r50_fpn-gn_head-gn_1x_coco.py'
    ),
}


def without_weights(cfg: Config | dict) -> None:
    """Drop every ``init_cfg``, in place: nothing is fetched."""
    cfg.pop('init_cfg', None)
    for value in cfg.values():
        for part in value if isinstance(value, list) else [value]:
            if isinstance(part, dict):
                without_weights(part)


@pytest.fixture(autouse=True)
def mmdet_scope():
    MessageHub.get_current_instance().update_info('iter', 0)  # YOLOX's preprocessor reads it
    with DefaultScope.overwrite_default_scope('mmdet'):
        yield


@pytest.mark.parametrize(
    'name', [pytest.param(k, marks=pytest.mark.slow) if 'RepPoints' in k else k for k in CONFIGS]
)
def test_build_train_and_predict(name):
    model_cfg = get_config(CONFIGS[name]).model
    without_weights(model_cfg)
    model = MODELS.build(model_cfg)
    inputs = demo_mm_inputs(2, [[3, 96, 128], [3, 128, 96]], num_items=[3, 2], use_box_type=True)

    data = model.data_preprocessor(inputs, training=True)
    losses, _ = model.parse_losses(model.loss(data['inputs'], data['data_samples']))
    losses.backward()
    assert torch.isfinite(losses)
    assert losses > 0
    trained = [p.grad for p in model.parameters() if p.requires_grad and p.grad is not None]
    assert all(torch.isfinite(grad).all() for grad in trained)
    assert sum(grad.abs().sum() > 0 for grad in trained) > len(trained) // 2

    model.eval()
    with torch.no_grad():
        data = model.data_preprocessor(inputs, training=False)
        results = model.predict(data['inputs'], data['data_samples'])
    assert len(results) == 2
    for result in results:
        found = result.pred_instances
        assert found.bboxes.shape == (len(found.scores), 4)
        assert not found.bboxes.isnan().any()
        assert torch.isfinite(found.scores).all()
        assert torch.equal(found.scores, found.scores.sort(descending=True).values)
