"""What the user asked for: where, how large, how precise, how long."""

from dataclasses import dataclass, replace

import torch

from lighthead.errors import UserError
from lighthead.speed.timer import Plan

QUICK_SECONDS = 35
"""Measuring time of a quick run; building and reporting come on top."""


@dataclass(frozen=True)
class Settings:
    """The common arguments of ``tools/speed.py``."""

    device: str = 'cpu'
    threads: int | None = None
    """CPU threads; None: what torch takes, one for the paper's ARM columns."""
    batch: int | None = None
    shape: tuple[int, int] | None = None
    """Height and width; None: what the table says."""
    fuse_bn: bool = False
    channels_last: bool = False
    amp: bool = False
    compile: bool = False
    min_time: float = 2.0
    quick: bool = False
    memory: bool = True
    """Whether peak memory is measured too (never in a quick run)."""
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
    def precision(self) -> str:
        """fp32, or the type that autocast computes in: fp16 on a GPU, bf16 on a CPU."""
        if not self.amp:
            return 'fp32'
        return 'fp16' if self.on_gpu else 'bf16'

    @property
    def dtype(self) -> torch.dtype:
        """The type of :attr:`precision`."""
        return {'fp32': torch.float32, 'fp16': torch.float16, 'bf16': torch.bfloat16}[
            self.precision
        ]

    @property
    def all_threads(self) -> int:
        """The CPU threads asked for, or what torch takes by itself."""
        return self.threads or torch.get_num_threads()

    @property
    def platform(self) -> str:
        """Which of the paper's two platforms is nearer: gpu or arm."""
        return 'gpu' if self.on_gpu else 'arm'

    def plan(self, share: float = 1.0, seconds: float = QUICK_SECONDS) -> Plan:
        """How long to measure a group that may take this share of a quick run's seconds."""
        if self.quick:
            return Plan(min_time=0.2, rounds=10, warmup=1, budget=seconds * share)
        return Plan(min_time=self.min_time)

    def on_cpu(self, threads: int) -> 'Settings':
        """The same settings on the CPU with so many threads."""
        return replace(self, device='cpu', threads=threads)

    def describe(self) -> dict:
        """Plain values for the record, without paths."""
        return {
            'device': self.torch_device.type,
            'threads': self.all_threads,
            'batch': self.batch,
            'shape': list(self.shape) if self.shape else None,
            'precision': self.precision,
            'fuse_bn': self.fuse_bn,
            'channels_last': self.channels_last,
            'compile': self.compile,
            'min_time': self.min_time,
            'quick': self.quick,
            'seed': self.seed,
        }


def check(settings: Settings) -> Settings:
    """The settings, or a UserError where they cannot be met on this machine."""
    try:
        device = settings.torch_device
    except RuntimeError:
        raise UserError(f'--device {settings.device} is no device: try cpu or cuda.') from None
    if device.type not in ('cpu', 'cuda'):
        raise UserError(f'--device {settings.device}: only cpu and cuda can be timed.')
    if device.type == 'cuda':
        available = torch.cuda.device_count()
        if not available:
            raise UserError(
                f'--device {settings.device}: torch sees no GPU here; use --device cpu.'
            )
        if device.index is not None and device.index >= available:
            raise UserError(f'--device {settings.device}: torch sees {available} GPU(s), from 0.')
    return settings
