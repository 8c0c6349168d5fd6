"""The table of operators that stand in for those of ``mmcv._ext``, by name."""

from collections.abc import Callable

import torch
from torch import Tensor

from lighthead.errors import InstallError

WAY_OUT = (
    'install a compiled mmcv (>=2.0, <2.2) for your torch in place of mmcv-lite: '
    'https://mmcv.readthedocs.io/en/2.x/get_started/build.html'
)
OPERATORS: dict[str, Callable] = {}
"""Name in ``mmcv._ext`` -> function, filled by :func:`operator`."""


def needs_compiled(what: str) -> InstallError:
    """The error for an operator, or a form of it, that torchvision does not have."""
    return InstallError(f'mmcv operator {what} has no stand-in in torchvision: {WAY_OUT}')


def operator(function: Callable) -> Callable:
    """Serve ``function`` under its name, without building a graph."""
    OPERATORS[function.__name__] = torch.no_grad()(function)
    return OPERATORS[function.__name__]


def full(*tensors: Tensor) -> list[Tensor]:
    """The tensors in float64 if the first is, else in float32; contiguous."""
    dtype = torch.float64 if tensors[0].dtype == torch.float64 else torch.float32
    return [tensor.to(dtype).contiguous() for tensor in tensors]
