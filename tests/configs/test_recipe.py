"""The COCO recipe trains and freezes what the authors train and freeze."""

import copy
from pathlib import Path

import pytest
import torch
from mmdet.registry import MODELS
from mmdet.testing import demo_mm_inputs
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from torch.nn.modules.batchnorm import _BatchNorm

from lighthead.models.backbones import ShuffleNetV2
from lighthead.weights import adapt_model_cfg

CONFIG = Path(__file__).resolve().parents[2] / 'configs/lighthead_shufflev2star_x0_5.py'
LR, DECAY = 0.01, 1e-4


@pytest.fixture(scope='module')
def trained(tmp_path_factory: pytest.TempPathFactory):
    """State, model and optimizer of the detector, from ShuffleNetV2's weights, after a step.

    The state is that before the step; the gradients are still there.
    """
    weights = tmp_path_factory.mktemp('weights') / 'shufflenet_v2.pth'
    torch.manual_seed(0)
    plain = ShuffleNetV2(0.5, out_indices=(0, 1, 2, 3))
    plain.train()(torch.randn(4, 3, 64, 64))  # statistics that are not those of identities
    torch.save(plain.state_dict(), weights)
    cfg = Config.fromfile(CONFIG)
    cfg.model.backbone.init_cfg.checkpoint = str(weights)
    adapt_model_cfg(cfg.model)
    model = MODELS.build(copy.deepcopy(cfg.model))
    wrapper = build_optim_wrapper(model, cfg.optim_wrapper)  # as mmengine: before the weights
    model.init_weights()
    before = copy.deepcopy(model.state_dict())
    data = demo_mm_inputs(2, [[3, 96, 96]] * 2, num_items=[3, 3], num_classes=80)
    data = model.train().data_preprocessor(data, training=True)
    model.parse_losses(model(**data, mode='loss'))[0].backward()
    wrapper.step()
    return before, model, wrapper


def test_only_the_stem_and_the_norms_are_frozen(trained) -> None:
    before, model, _ = trained
    norms = [n for n, m in model.named_modules() if isinstance(m, _BatchNorm)]
    stars = [name for name in before if '.star.' in name]
    assert len(stars) == 16 * 6
    frozen = {f'{norm}.{field}' for norm in norms for field in ('weight', 'bias')} - set(stars)
    frozen |= {name for name in before if name.startswith('backbone.conv1.')}
    parameters = dict(model.named_parameters())
    assert {n for n, p in parameters.items() if not p.requires_grad} == frozen & set(parameters)
    after = model.state_dict()
    for name, tensor in after.items():
        if name in frozen or 'running_' in name:
            assert torch.equal(tensor, before[name]), name
    for name in stars:
        if name.endswith(('weight', 'bias')):
            assert parameters[name].grad.abs().sum() > 0, name


def test_rates_and_decays_are_the_authors(trained) -> None:
    _, model, wrapper = trained
    groups = {id(g['params'][0]): g for g in wrapper.optimizer.param_groups}
    learning = {n: groups[id(p)] for n, p in model.named_parameters() if p.requires_grad}
    assert len(learning) == len(groups)
    norms = [n for n, m in model.named_modules() if isinstance(m, _BatchNorm)]
    for name, group in learning.items():
        undecayed = name.endswith('bias') or name.rpartition('.')[0] in norms
        assert group['weight_decay'] == pytest.approx(0 if undecayed else DECAY), name
        assert group['lr'] == pytest.approx(3 * LR if name.startswith('neck.') else LR), name
