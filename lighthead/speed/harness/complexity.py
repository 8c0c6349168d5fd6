"""What a network costs on paper: MACs, parameters, activations, memory access.

Paper: arXiv 1807.11164, section 2; its "FLOPs" are multiply-adds (MACs). The memory access
cost of a convolution is what it reads and writes, in elements: input + weights + output, for
a 1x1 one ``hw(c1 + c2) + c1 c2 / g``. Runs on meta tensors, so that nothing is computed.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn as nn
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry


@dataclass(frozen=True)
class Operation:
    """One operation of a forward pass, in elements (not bytes)."""

    name: str
    macs: int
    read: int
    written: int


@dataclass(frozen=True)
class Complexity:
    """Cost of one forward pass, of a batch as given.

    ``memory_access`` is the paper's: convolutions and fully connected layers;
    ``memory_access_all`` adds norms, activations, shuffles and the rest, each reading its
    inputs and writing its output, views for nothing. ``activations``: output elements of the
    convolutions and fully connected layers.
    """

    macs: int
    parameters: int
    activations: int
    memory_access: int
    memory_access_all: int
    operations: tuple[Operation, ...] = ()

    def intensity(self, bytes_per_element: int = 4) -> float:
        """Arithmetic intensity in FLOPs (2 per MAC) per byte, over all operations."""
        return 2 * self.macs / max(1, self.memory_access_all * bytes_per_element)

    def least_time(self, peak: float, bandwidth: float, bytes_per_element: int = 4) -> float:
        """The roofline's time in seconds: each operation at the slower of both limits.

        Args:
            peak: FLOP/s of the machine.
            bandwidth: Bytes/s of the machine, reading and writing together.
            bytes_per_element: 4 in fp32, 2 in half precision.
        """
        return sum(
            max(2 * op.macs / peak, (op.read + op.written) * bytes_per_element / bandwidth)
            for op in self.operations
        )


class OperationCounter(TorchDispatchMode):
    """Records every operation that computes or moves something.

    MACs come from the formulas of torch's ``FlopCounterMode`` (2 FLOPs per MAC).
    """

    def __init__(self) -> None:
        super().__init__()
        self.operations: list[Operation] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        if not func.is_view:
            formula = flop_registry.get(func._overloadpacket)
            flops = formula(*args, **kwargs, out_val=out) if formula else 0
            read = _elements(args) + _elements(kwargs.values())
            name = func._overloadpacket.__name__
            self.operations.append(Operation(name, flops // 2, read, _elements([out])))
        return out


def _elements(values: Iterable[Any]) -> int:
    total = 0
    for value in values:
        if isinstance(value, Tensor):
            total += value.numel()
        elif isinstance(value, (list, tuple)):
            total += _elements(value)
    return total


def count(model: nn.Module, *inputs: Tensor) -> Complexity:
    """Cost of ``model(*inputs)`` in eval mode without gradients."""
    operations = record_operations(lambda: model(*inputs))
    weighted = [op for op in operations if op.macs]
    return Complexity(
        macs=sum(op.macs for op in weighted),
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        activations=sum(op.written for op in weighted),
        memory_access=sum(op.read + op.written for op in weighted),
        memory_access_all=sum(op.read + op.written for op in operations),
        operations=tuple(operations),
    )


@torch.no_grad()
def record_operations(call: Callable[[], object]) -> list[Operation]:
    """The operations that ``call()`` runs."""
    with OperationCounter() as counter:
        call()
    return counter.operations


def count_on_meta(build: Callable[[], nn.Module], shape: tuple[int, ...]) -> Complexity:
    """Cost of the network that ``build`` makes, for an input of ``shape``, without computing."""
    with torch.device('meta'):
        model = build()
        images = torch.empty(shape)
    return count(model.eval(), images)
