"""The path for CUDA graphs: its numbers on a CPU, its shapes and devices without any."""

from functools import partial

import pytest
import torch
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from lighthead.deploy import fixed as module
from lighthead.deploy.cuda_graph import RecordedCalls
from lighthead.deploy.eager import EagerDetector
from lighthead.deploy.fixed import FixedDetector
from lighthead.inference.runtimes.torch_backend import TorchBackend, unpack_fixed
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


def make(**settings) -> FixedDetector:
    return FixedDetector(random_detector(small_config(**settings))).eval()


@pytest.mark.parametrize('mode', ['avg', 'max'])
@pytest.mark.parametrize('class_agnostic', [True, False])
@pytest.mark.parametrize('score_thr', [0.0, 0.05, 0.28])
@torch.inference_mode()
def test_equals_the_other_path(monkeypatch, images, mode, class_agnostic, score_thr):
    # Untrained boxes overlap in longer chains than trained ones.
    monkeypatch.setattr(module, 'fixed_nms', partial(fixed_nms, rounds=100))
    detector = make(mode=mode, class_agnostic=class_agnostic, score_thr=score_thr)
    found = unpack_fixed(detector.fixed(images, SIZES))
    for one, expected in zip(found, detector(images, SIZES), strict=True):
        assert one is not None
        assert len(one.scores) == len(expected[1])
        torch.testing.assert_close(torch.from_numpy(one.boxes), expected[0], atol=1e-3, rtol=0)
        torch.testing.assert_close(torch.from_numpy(one.scores), expected[1], atol=1e-5, rtol=0)
        assert one.labels.tolist() == expected[2].tolist()
    assert any(len(one.scores) for one in found)


@torch.inference_mode()
def test_few_anchors(images):
    detector = make(proposals=(6000, 1000), score_thr=0.0)
    small, size = images[:1, :, :32, :32], torch.tensor([[32.0, 30.0]])
    (one,) = unpack_fixed(detector.fixed(small, size))
    (expected,) = detector(small, size)
    assert one.labels.tolist() == expected[2].tolist()
    torch.testing.assert_close(torch.from_numpy(one.boxes), expected[0], atol=1e-3, rtol=0)


@torch.inference_mode()
def test_what_is_not_exact_is_computed_again(images, monkeypatch):
    model = random_detector(small_config(score_thr=0.0))
    backend = TorchBackend(model, torch.device('cpu'), 'fp32')
    sizes = [tuple(int(side) for side in size) for size in SIZES]
    expected = backend(images, sizes)
    backend.model = FixedDetector(model)
    backend.recorded = RecordedCalls(backend.model.fixed, CpuRecorder())
    monkeypatch.setattr(module, 'CANDIDATES', 101)
    packed = unpack_fixed(backend.model.fixed(images, SIZES))
    assert None in packed, 'the test needs an image with too few candidates'
    for one, other in zip(backend(images, sizes), expected, strict=True):
        assert one.labels.tolist() == other.labels.tolist()
        torch.testing.assert_close(one.boxes, other.boxes, atol=1e-3, rtol=0)


class OnlyCuda(TorchDispatchMode):
    """Fails where an operator takes a tensor of the CPU with more than one value: a transfer."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        for value in torch.utils._pytree.tree_leaves((args, kwargs)):
            if isinstance(value, torch.Tensor) and value.device.type != 'cuda' and value.dim():
                raise AssertionError(f'{function} takes a tensor on {value.device}')
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize('dtype', [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize('mode', ['avg', 'max'])
def test_nothing_waits_for_a_gpu(dtype, mode):
    """With tensors that have shapes and a device but no values, a look at a value fails."""
    detector = make(mode=mode, proposals=(6000, 1000)).convolve_in(dtype)
    with FakeTensorMode(allow_non_fake_inputs=True) as fake, torch.inference_mode():
        detector = move(detector, fake)
        images = torch.empty(4, 3, 128, 160, device='cuda')
        sizes = torch.empty(4, 2, device='cuda')
        with OnlyCuda():
            packed = detector.fixed(images, sizes)
        assert packed.shape == (4, 101, 6)
        assert packed.device.type == 'cuda'
        assert packed.dtype is torch.float32
        with pytest.raises(DataDependentOutputException):
            EagerDetector.forward(detector, images, sizes)


def move(module: torch.nn.Module, fake: FakeTensorMode) -> torch.nn.Module:
    """Its parameters and buffers as fake tensors on a GPU."""
    for child in module.modules():
        for own in (child._parameters, child._buffers):
            for name, value in own.items():
                if value is not None:
                    own[name] = fake.from_tensor(value.detach()).to('cuda')
    return module
