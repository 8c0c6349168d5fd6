"""A network, ready to be timed: eval mode, random weights, random images."""

from collections.abc import Callable
from typing import TypeVar, cast

import torch
import torch.nn as nn
from torch import Tensor

from lighthead.deploy.fold_norms import fold_norms
from lighthead.deploy.precision import in_memory_format
from lighthead.errors import UserError
from lighthead.speed.harness.conditions import Conditions

Network = TypeVar('Network', bound=nn.Module)


def random_images(shape: tuple[int, ...], conditions: Conditions) -> Tensor:
    """Normally distributed images (B, C, H, W) on the device, the same for the same seed."""
    generator = torch.Generator().manual_seed(conditions.seed)
    images = torch.randn(shape, generator=generator).to(conditions.torch_device)
    if conditions.channels_last:
        images = images.to(memory_format=torch.channels_last)
    return images


def place(model: Network, conditions: Conditions) -> Network:
    """Put a network where and how the conditions say, without gradients."""
    model = model.eval().to(conditions.torch_device)
    if conditions.fuse_bn:
        fold_norms(model)
    model.requires_grad_(False)
    if conditions.channels_last:
        in_memory_format(model, torch.channels_last)
    return model


def prepare_model(build: Callable[[], nn.Module], conditions: Conditions) -> nn.Module:
    """Build the network with the seed's random weights and place it."""
    torch.manual_seed(conditions.seed)
    model = place(build(), conditions)
    return cast(nn.Module, torch.compile(model)) if conditions.compile else model


def prepare_call(
    build: Callable[[], nn.Module], shape: tuple[int, ...], conditions: Conditions
) -> Callable[[], object]:
    """A function that runs the network once on a batch of random images of ``shape``.

    The images are on the device already; the time of a call is the forward pass.
    """
    model = prepare_model(build, conditions)
    images = random_images(shape, conditions)

    @torch.inference_mode()
    def call() -> object:
        with conditions.applied():
            return model(images)

    if conditions.compile:
        _compile_now(call)
    return call


def _compile_now(call: Callable[[], object]) -> None:
    """Run once, so that a missing compiler is reported before anything is timed."""
    try:
        call()
    except Exception as error:
        if type(error).__module__.startswith(('torch._inductor', 'torch._dynamo')):
            raise UserError(
                f'--compile failed ({type(error).__name__}): it needs a C++ compiler on a CPU and '
                'Triton on a GPU; leave it out to time the network uncompiled.'
            ) from error
        raise
