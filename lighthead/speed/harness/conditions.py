"""The conditions of a measurement: where, how large, how precise, how long."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace

import torch

from lighthead.deploy.precision import PRECISIONS, check_precision, possible_precisions, tf32
from lighthead.errors import UserError
from lighthead.speed.harness.timer import Plan

CPU = torch.device('cpu')
QUICK_SECONDS = 35
"""Measuring time of a quick run; building and reporting come on top."""


@dataclass(frozen=True)
class Conditions:
    """The arguments that all experiments of ``lighthead speed`` have in common.

    Attributes:
        threads: CPU threads; None: what torch takes, one for the paper's ARM columns.
        shape: Height and width; None: what the table says.
        precision: See :mod:`lighthead.deploy.precision`.
        memory: Whether peak memory is measured too (never in a quick run).
    """

    device: str = 'cpu'
    threads: int | None = None
    batch: int | None = None
    shape: tuple[int, int] | None = None
    precision: str = 'fp32'
    fuse_bn: bool = False
    channels_last: bool = False
    compile: bool = False
    min_time: float = 2.0
    quick: bool = False
    memory: bool = True
    seed: int = 0

    @property
    def torch_device(self) -> torch.device:
        """The device."""
        return torch.device(self.device)

    @property
    def on_gpu(self) -> bool:
        """Whether this is a CUDA device."""
        return self.torch_device.type == 'cuda'

    @property
    def dtype(self) -> torch.dtype:
        """What convolutions and fully connected layers compute in."""
        return PRECISIONS[self.precision]

    @property
    def all_threads(self) -> int:
        """The CPU threads asked for, or what torch takes by itself."""
        return self.threads or torch.get_num_threads()

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Compute in this precision: TF32 on or off, autocast for fp16 and bf16.

        cuDNN benchmarks its algorithms, since the sizes that are timed repeat.
        """
        half = self.dtype is not torch.float32
        device, dtype = self.torch_device.type, self.dtype if half else None
        cudnn = torch.backends.cudnn
        before, cudnn.benchmark = cudnn.benchmark, True
        try:
            with tf32(self.precision == 'tf32'), torch.autocast(device, dtype, enabled=half):
                yield
        finally:
            cudnn.benchmark = before

    def plan(self, share: float = 1.0, seconds: float = QUICK_SECONDS) -> Plan:
        """How long to measure a group that may take this share of a quick run's seconds."""
        if self.quick:
            return Plan(min_time=0.2, rounds=10, warmup=1, budget=seconds * share)
        return Plan(min_time=self.min_time)

    def on_cpu(self, threads: int) -> 'Conditions':
        """The same conditions on the CPU with so many threads."""
        precision = self.precision if self.precision in possible_precisions(CPU) else 'fp32'
        return replace(self, device='cpu', threads=threads, precision=precision)

    def describe(self) -> dict:
        """Plain values for the record, without paths."""
        values = asdict(self) | {'device': self.torch_device.type, 'threads': self.all_threads}
        del values['memory']
        return values


def checked(conditions: Conditions) -> Conditions:
    """The conditions, or a UserError where this machine cannot meet them."""
    name = conditions.device
    try:
        device = conditions.torch_device
    except RuntimeError:
        raise UserError(f'--device {name} is no device: try cpu or cuda.') from None
    if device.type not in ('cpu', 'cuda'):
        raise UserError(f'--device {name}: only cpu and cuda can be timed.')
    if device.type == 'cuda' and (device.index or 0) >= torch.cuda.device_count():
        count = torch.cuda.device_count()
        there = f'torch sees {count} GPU(s), numbered from 0' if count else 'torch sees no GPU here'
        raise UserError(f'--device {name}: {there}; use --device cpu or one that is there.')
    check_precision(device, conditions.precision)
    return conditions
