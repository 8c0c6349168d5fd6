"""A network, ready to be timed: eval mode, random weights, random images."""

from collections.abc import Callable
from contextlib import nullcontext

import torch
import torch.nn as nn
from torch import Tensor

from lighthead.errors import UserError
from lighthead.speed.fusion import fuse_norms
from lighthead.speed.settings import Settings


def random_images(shape: tuple[int, ...], settings: Settings) -> Tensor:
    """Normally distributed images (B, C, H, W) on the device, the same for the same seed."""
    generator = torch.Generator().manual_seed(settings.seed)
    images = torch.randn(shape, generator=generator).to(settings.torch_device)
    if settings.channels_last:
        images = images.to(memory_format=torch.channels_last)
    return images


def prepare_model(
    build: Callable[[], nn.Module], shape: tuple[int, ...], settings: Settings
) -> nn.Module:
    """Build the network and put it where and how the settings say."""
    torch.manual_seed(settings.seed)
    model = build().eval().to(settings.torch_device)
    for parameter in model.parameters():
        parameter.requires_grad = False
    if settings.fuse_bn:
        images = random_images((1, *shape[1:]), settings)
        fuse_norms(model, lambda: model(images))
    if settings.channels_last:
        model = model.to(memory_format=torch.channels_last)
    if settings.on_gpu:
        torch.backends.cudnn.benchmark = True
    return torch.compile(model) if settings.compile else model


def autocast(settings: Settings) -> torch.autocast | nullcontext:
    """The context of ``--amp``."""
    if not settings.amp:
        return nullcontext()
    return torch.autocast(settings.torch_device.type, settings.dtype)


def prepare_call(
    build: Callable[[], nn.Module], shape: tuple[int, ...], settings: Settings
) -> Callable[[], object]:
    """A function that runs the network once on a batch of random images of ``shape``.

    The images are on the device already; the time of a call is the forward pass.
    """
    model = prepare_model(build, shape, settings)
    images = random_images(shape, settings)

    @torch.inference_mode()
    def call() -> object:
        with autocast(settings):
            return model(images)

    if settings.compile:
        _compile_now(call)
    return call


def _compile_now(call: Callable[[], object]) -> None:
    """Run once, so that a compiler that is missing shows as a sentence."""
    try:
        call()
    except Exception as error:
        if type(error).__module__.startswith(('torch._inductor', 'torch._dynamo')):
            raise UserError(
                f'--compile failed ({type(error).__name__}): it needs a C++ compiler on a CPU and '
                'Triton on a GPU; leave it out to time the network uncompiled.'
            ) from error
        raise
