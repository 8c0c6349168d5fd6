"""Random states as plain data; mixed precision without a GPU."""

import random
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.config import Config

from lighthead.checkpoint.checkpoint_files import save_checkpoint_file
from lighthead.engine.amp import Bf16OptimWrapper, apply_amp
from lighthead.engine.rng import get_rng_state, set_rng_state
from lighthead.engine.training_state import set_augmentation_seed
from lighthead.errors import UserError


def draw() -> tuple:
    normal = np.random.standard_normal()  # leaves a second number in numpy's cache
    return random.random(), random.gauss(0, 1), normal, torch.rand(3).tolist()


def test_rng_state_survives_a_file(tmp_path: Path) -> None:
    draw()
    save_checkpoint_file(get_rng_state(), tmp_path / 'rng.pth')
    expected = [draw(), draw()]
    set_rng_state(torch.load(tmp_path / 'rng.pth', weights_only=True))
    assert [draw(), draw()] == expected


@pytest.mark.parametrize(
    ('cuda', 'wrapper'), [(True, 'AmpOptimWrapper'), (False, 'Bf16OptimWrapper')]
)
def test_apply_amp(cuda: bool, wrapper: str) -> None:
    cfg = Config({'optim_wrapper': {'type': 'OptimWrapper', 'optimizer': {'type': 'SGD'}}})
    apply_amp(cfg, cuda)
    apply_amp(cfg, cuda)  # twice changes nothing
    assert cfg.optim_wrapper.type == wrapper
    assert cfg.optim_wrapper.get('loss_scale') == ('dynamic' if cuda else None)


def test_apply_amp_refuses_other_wrappers() -> None:
    cfg = Config({'optim_wrapper': {'type': 'ApexOptimWrapper'}})
    with pytest.raises(UserError, match='ApexOptimWrapper'):
        apply_amp(cfg, cuda=False)


def test_bf16_wrapper_autocasts_the_forward_pass_only() -> None:
    model = torch.nn.Linear(4, 2)
    wrapper = Bf16OptimWrapper(optimizer=torch.optim.SGD(model.parameters(), lr=0.1))
    with wrapper.optim_context(model):
        output = model(torch.ones(1, 4))
    assert output.dtype == torch.bfloat16
    wrapper.update_params(output.float().sum())
    assert model.weight.dtype == torch.float32
    assert model(torch.ones(1, 4)).dtype == torch.float32


def test_data_sets_inside_others_take_the_runs_seed() -> None:
    sets = [SimpleNamespace(seed=0), SimpleNamespace(seed=0)]
    wrapped = SimpleNamespace(dataset=SimpleNamespace(datasets=sets))
    set_augmentation_seed(wrapped, 7)
    assert [inner.seed for inner in sets] == [7, 7]
    assert not hasattr(wrapped, 'seed')
