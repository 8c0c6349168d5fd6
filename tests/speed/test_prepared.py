from functools import partial

import pytest
import torch
import torch.nn as nn

from lighthead.errors import UserError
from lighthead.speed.harness.conditions import Conditions, checked
from lighthead.speed.harness.memory import peak_memory
from lighthead.speed.harness.prepared import prepare_call


@pytest.mark.parametrize('precision', ['fp32', 'bf16'])
def test_prepared_calls_are_the_same_for_the_same_seed(precision):
    conditions = Conditions(seed=5, precision=precision, channels_last=True, fuse_bn=True)

    def build():
        return nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4))

    first, second = (prepare_call(build, (2, 3, 8, 8), conditions)() for _ in range(2))
    assert torch.equal(first, second)
    assert first.dtype == conditions.dtype


@pytest.mark.parametrize(('precision', 'allowed'), [('fp32', False), ('tf32', True)])
def test_tf32_is_on_for_its_own_name_alone(precision, allowed):
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    before = cudnn.allow_tf32, matmul.allow_tf32, cudnn.benchmark
    assert before != (allowed, allowed, True)
    with Conditions(precision=precision).applied():
        assert (cudnn.allow_tf32, matmul.allow_tf32, cudnn.benchmark) == (allowed, allowed, True)
    assert (cudnn.allow_tf32, matmul.allow_tf32, cudnn.benchmark) == before


def test_timed_calls_compute_in_their_precision():
    class Probe(nn.Module):
        def forward(self, images):
            return torch.backends.cudnn.allow_tf32

    assert prepare_call(Probe, (1, 3, 8, 8), Conditions())() is False
    assert prepare_call(Probe, (1, 3, 8, 8), Conditions(precision='tf32'))() is True


@pytest.mark.parametrize('precision', ['tf32', 'fp16'])
def test_precisions_that_a_cpu_has_not_are_refused(precision):
    with pytest.raises(UserError, match='choose from fp32, bf16'):
        checked(Conditions(precision=precision))


def test_peak_memory_is_read_in_a_process_of_its_own():
    conditions = Conditions(threads=1)
    build = partial(torch.nn.Conv2d, 3, 64, 3)
    prepare = partial(prepare_call, build, (1, 3, 1024, 1024), conditions)
    output = 64 * 1022 * 1022 * 4 / 2**20
    assert output < peak_memory(prepare, conditions) < 3 * output


def test_failing_process_is_no_peak_memory():
    with pytest.raises(RuntimeError, match='failed'):
        peak_memory(partial(int, 'no number'), Conditions(threads=1))
