"""Norm statistics after pretraining: plain means over batches, in a file of their own."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from lighthead.checkpoint.checkpoint_files import load_checkpoint_file
from lighthead.engine.norm_statistics import reestimate_norms


def test_each_batch_counts_alike() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
    model[1].running_mean.fill_(100)
    batches = [torch.randn(2, 3, 5, 5) * scale for scale in (1, 10, 2)]
    maps = [model[0](batch).detach().transpose(0, 1).flatten(1) for batch in batches]
    assert reestimate_norms(model, batches) == 1
    torch.testing.assert_close(model[1].running_mean, sum(m.mean(1) for m in maps) / 3)
    torch.testing.assert_close(model[1].running_var, sum(m.var(1) for m in maps) / 3)
    assert model[1].momentum == 0.1


def test_norms_in_eval_mode_keep_theirs() -> None:
    class Frozen(nn.BatchNorm2d):
        def train(self, mode: bool = True) -> nn.Module:
            return super().train(False)

    model = Frozen(3)
    model.running_mean.fill_(7)
    assert reestimate_norms(model, [torch.randn(2, 3, 4, 4)]) == 0
    assert (model.running_mean == 7).all()


@pytest.mark.slow
def test_the_file_has_the_last_weights_and_other_statistics(run: Callable, tmp_path: Path) -> None:
    hooks = [dict(type='PreprocessingMetaHook'), dict(type='ReestimateNormsHook', images=12)]
    run(tmp_path, custom_hooks=hooks)
    last = load_checkpoint_file(max(tmp_path.glob('epoch_*.pth')))['state_dict']
    measured = load_checkpoint_file(tmp_path / 'reestimated.pth')
    for name, tensor in measured['state_dict'].items():
        statistics = name.rpartition('.')[2] in ('running_mean', 'running_var')
        if not name.endswith('num_batches_tracked'):
            assert torch.equal(tensor, last[name]) != statistics, name
    assert 'preprocessing' in measured['meta'], 'a detector can start from it'
