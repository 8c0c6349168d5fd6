"""The path for CUDA graphs: its numbers on a CPU, its shapes and devices without any."""

from functools import partial

import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from lighthead.deploy import fixed_size as module
from lighthead.deploy.eager_suppression import EagerSuppression
from lighthead.deploy.fixed_size import fixed_size_detector, pack, unpack
from lighthead.deploy.stages import DetectorStages
from lighthead.inference.runtimes.torch_backend import EagerBackend, RecordedBackend
from lighthead.ops.fixed_nms import fixed_nms

from ..small_detector import random_detector, small_config
from .fake_cuda import CpuRecorder

SIZES = torch.tensor([[128.0, 160.0], [128.0, 100.0], [90.0, 160.0]])


@pytest.fixture(scope='module')
def images() -> torch.Tensor:
    generator = torch.Generator().manual_seed(3)
    images = torch.randn(3, 3, 128, 160, generator=generator)
    images[1, :, :, 100:] = 0
    images[2, :, 90:] = 0
    return images.to(memory_format=torch.channels_last)


def make(**settings) -> DetectorStages:
    return fixed_size_detector(random_detector(small_config(**settings))).eval()


@pytest.mark.parametrize('mode', ['avg', 'max'])
@pytest.mark.parametrize(
    ('class_agnostic', 'score_thr'), [(True, 0.0), (False, 0.05), (True, 0.28)]
)
@torch.inference_mode()
def test_equals_the_eager_path(monkeypatch, images, mode, class_agnostic, score_thr):
    # Untrained boxes overlap in longer chains than trained ones.
    monkeypatch.setattr(module, 'fixed_nms', partial(fixed_nms, rounds=100))
    stages = make(mode=mode, class_agnostic=class_agnostic, score_thr=score_thr)
    outputs = unpack(pack(stages(images, SIZES)))
    expected = stages.with_suppression(EagerSuppression)(images, SIZES)
    assert outputs.exact.all()
    assert outputs.num.tolist() == expected.num.tolist()
    torch.testing.assert_close(outputs.boxes, expected.boxes, atol=1e-3, rtol=0)
    torch.testing.assert_close(outputs.scores, expected.scores, atol=1e-5, rtol=0)
    assert torch.equal(outputs.labels, expected.labels)
    assert outputs.num.any()


@torch.inference_mode()
def test_few_anchors(images):
    stages = make(proposals=(6000, 1000), score_thr=0.0)
    small, size = images[:1, :, :32, :32], torch.tensor([[32.0, 30.0]])
    outputs = stages(small, size)
    expected = stages.with_suppression(EagerSuppression)(small, size)
    assert torch.equal(outputs.labels, expected.labels)
    torch.testing.assert_close(outputs.boxes, expected.boxes, atol=1e-3, rtol=0)


def test_what_is_not_exact_is_computed_again(images, monkeypatch):
    model = random_detector(small_config(score_thr=0.0))
    device, sizes = torch.device('cpu'), [tuple(int(side) for side in size) for size in SIZES]
    expected = EagerBackend(model, device, 'fp32')(images, sizes)
    monkeypatch.setattr(module, 'CANDIDATES', 101)
    with torch.inference_mode():
        exact = fixed_size_detector(model).eval()(images, SIZES).exact
    assert not exact.all(), 'the test needs an image with too few candidates'
    recorder = CpuRecorder()
    backend = RecordedBackend(model, device, 'fp32', recorder)
    for _ in range(2):  # the second call is recorded
        for one, other in zip(backend(images, sizes), expected, strict=True):
            np.testing.assert_allclose(one.scores, other.scores, atol=1e-5)
            # Rounding depends on the batch, and swaps detections of equal scores.
            distances = np.abs(one.boxes[:, None] - other.boxes[None]).max(axis=2)
            assert distances.min(axis=1).max() < 1e-2
    assert len(recorder.shapes) == 1


class OnlyCuda(TorchDispatchMode):
    """Fails where an operator takes a tensor of the CPU with more than one value: a transfer."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        for value in torch.utils._pytree.tree_leaves((args, kwargs)):
            if isinstance(value, torch.Tensor) and value.device.type != 'cuda' and value.dim():
                raise AssertionError(f'{function} takes a tensor on {value.device}')
        return function(*args, **(kwargs or {}))


@pytest.mark.skipif(
    torch.__version__.startswith('2.6.'), reason='fake CUDA tensors of torch 2.6 need a driver'
)
@pytest.mark.parametrize('dtype', [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize('mode', ['avg', 'max'])
def test_nothing_waits_for_a_gpu(dtype, mode):
    """With tensors that have shapes and a device but no values, a look at a value fails."""
    stages = make(mode=mode, proposals=(6000, 1000)).convolve_in(dtype)
    with FakeTensorMode(allow_non_fake_inputs=True) as fake, torch.inference_mode():
        stages = move(stages, fake)
        images = torch.empty(4, 3, 128, 160, device='cuda')
        sizes = torch.empty(4, 2, device='cuda')
        with OnlyCuda():
            packed = pack(stages(images, sizes))
        assert packed.shape == (4, 101, 6)
        assert packed.device.type == 'cuda'
        assert packed.dtype is torch.float32
        with pytest.raises(DataDependentOutputException):
            stages.with_suppression(EagerSuppression)(images, sizes)


def move(module: torch.nn.Module, fake: FakeTensorMode) -> torch.nn.Module:
    """Its parameters and buffers as fake tensors on a GPU."""
    for child in module.modules():
        for own in (child._parameters, child._buffers):
            for name, value in own.items():
                if value is not None:
                    own[name] = fake.from_tensor(value.detach()).to('cuda')
    return module
