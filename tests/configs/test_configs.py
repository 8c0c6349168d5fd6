"""Every config loads, builds, learns one step and detects; the main one's loss falls."""

import copy
from pathlib import Path

import pytest
import torch
from mmdet.registry import MODELS
from mmdet.testing import demo_mm_inputs
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper

from lighthead.weights import adapt_model_cfg, from_scratch

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
OTHERS = ('_base_', 'pretrain')
NAMES = sorted(
    str(path.relative_to(CONFIGS))
    for path in CONFIGS.glob('**/*.py')
    if path.relative_to(CONFIGS).parts[0] not in OTHERS
)


def build(name: str) -> torch.nn.Module:
    """The config's detector from scratch, since no weights can be fetched here."""
    cfg = Config.fromfile(CONFIGS / name)
    model_cfg = copy.deepcopy(cfg.model)
    from_scratch(model_cfg)
    adapt_model_cfg(model_cfg)
    torch.manual_seed(0)
    model = MODELS.build(model_cfg)
    model.init_weights()
    return model


def inputs(size: int, classes: int) -> dict:
    return demo_mm_inputs(1, [[3, size, size]], num_items=[3], num_classes=classes)


@pytest.mark.parametrize('name', NAMES)
def test_learns_a_step_and_detects(name: str) -> None:
    model = build(name).train()
    optimizer = build_optim_wrapper(model, Config.fromfile(CONFIGS / name).optim_wrapper)
    head = getattr(model, 'roi_head', model).bbox_head
    classes = head.num_classes
    data = model.data_preprocessor(inputs(96, classes), training=True)
    loss, _ = model.parse_losses(model(**data, mode='loss'))
    loss.backward()
    assert loss.isfinite()
    assert loss > 0
    optimizer.step()
    model.eval()
    for settings in (model.test_cfg, *model.test_cfg.values()):
        if isinstance(settings, dict) and 'score_thr' in settings:
            settings.score_thr = 0.0  # an untrained network's scores are low
    data = model.data_preprocessor(inputs(96, classes), training=False)
    with torch.no_grad():
        found = model(**data, mode='predict')[0].pred_instances
    assert 0 < len(found) <= 100
    assert found.bboxes.shape == (len(found), 4)
    assert (found.scores.diff() <= 0).all()


def test_there_are_eight_main_configs() -> None:
    main = {name for name in NAMES if '/' not in name and 'demo' not in name}
    widths = ('_x0_5', '', '_x1_5', '_x2_0')
    expected = {f'lighthead_shufflev2{star}{w}.py' for star in ('', 'star') for w in widths}
    assert main == expected


@pytest.mark.slow
def test_the_main_configs_loss_falls_on_one_batch() -> None:
    model = build('lighthead_shufflev2star.py').train()
    data = model.data_preprocessor(inputs(192, 80), training=True)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    losses = []
    for _ in range(20):
        loss, _ = model.parse_losses(model(**copy.deepcopy(data), mode='loss'))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert sum(losses[-5:]) < 0.7 * sum(losses[:5]), losses
