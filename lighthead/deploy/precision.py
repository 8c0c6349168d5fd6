"""The precisions that torch computes convolutions and fully connected layers in.

``fp32`` is exact: IEEE float32 everywhere. ``tf32`` is float32 whose products are rounded to 10
bits on the tensor cores of GPUs since 2020, which is what cuDNN does by itself.
"""

import contextlib
from collections.abc import Iterator
from typing import Any, TypeVar

import torch
from torch import nn

from lighthead.errors import UserError

Module = TypeVar('Module', bound=nn.Module)

PRECISIONS = {
    'fp32': torch.float32,
    'tf32': torch.float32,
    'bf16': torch.bfloat16,
    'fp16': torch.float16,
}
"""Names and the type of the weights."""
TF32_CAPABILITY = (8, 0)
"""Compute capability of the first GPUs with TF32."""


def possible_precisions(device: torch.device) -> list[str]:
    """What torch can compute in on a device."""
    if device.type == 'cpu':
        return ['fp32', 'bf16']
    if device.type != 'cuda':
        return ['fp32']
    names = ['fp32', 'fp16']
    if torch.cuda.get_device_capability(device) >= TF32_CAPABILITY:
        names.append('tf32')
    if torch.cuda.is_bf16_supported():
        names.append('bf16')
    return names


def check_precision(device: torch.device, precision: str) -> None:
    """Raise a UserError where torch cannot compute in ``precision`` on ``device``."""
    if precision not in PRECISIONS:
        raise UserError(
            f'There is no precision {precision!r}: choose from {", ".join(PRECISIONS)}.'
        )
    possible = possible_precisions(device)
    if precision not in possible:
        raise UserError(
            f'precision={precision!r} is not possible with torch on {device}: '
            f'choose from {", ".join(possible)}.'
        )


@contextlib.contextmanager
def tf32(allowed: bool) -> Iterator[None]:
    """Whether CUDA's convolutions and products of float32 may round to TF32, in this block.

    The switches are the process's: detectors in other threads should have the same precision.
    """
    switches: tuple[Any, ...] = (torch.backends.cudnn, torch.backends.cuda.matmul)
    before = [switch.allow_tf32 for switch in switches]
    try:
        for switch in switches:
            switch.allow_tf32 = allowed
        yield
    finally:
        for switch, value in zip(switches, before, strict=True):
            switch.allow_tf32 = value


def in_memory_format(module: Module, layout: torch.memory_format) -> Module:
    """The module, whose convolutions' weights are brought into this memory format in place."""
    return module.to(memory_format=layout)  # type: ignore[call-overload]  # torch's types lack it
