"""Which machine this is, and what it reaches at most: the roofline.

No host or user name is recorded.
"""

import os
import platform
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path

import torch

from lighthead.speed.harness.conditions import Conditions
from lighthead.speed.harness.timer import Plan, Workload, intra_op_threads, measure

PACKAGES = ('torch', 'torchvision', 'mmdet', 'mmengine', 'numpy', 'pytorchcv', 'lighthead')
MATRIX = {'cpu': 1536, 'cuda': 8192}
"""Side of the matrices whose product measures the peak."""
COPIED_BYTES = {'cpu': 1 << 28, 'cuda': 1 << 30}
"""Size of the buffer whose copy measures the bandwidth, well above any cache."""


@dataclass(frozen=True)
class Roofline:
    """What the machine reaches at most, measured.

    Attributes:
        peak: FLOP/s of a large matrix product (2 FLOPs per multiply-add).
        bandwidth: Bytes/s of a large copy, reading and writing together.
    """

    peak: float
    bandwidth: float
    device: str
    threads: int
    precision: str

    def describe(self) -> dict:
        """Plain values for the record."""
        return asdict(self)


def measure_roofline(conditions: Conditions, threads: int) -> Roofline:
    """Measure peak and bandwidth with so many CPU threads; the fastest of the calls counts."""
    device = conditions.torch_device
    side, copied = MATRIX[device.type], COPIED_BYTES[device.type]
    generator = torch.Generator().manual_seed(conditions.seed)
    a = torch.randn(side, side, generator=generator).to(device, conditions.dtype)
    b = a.t().contiguous()
    product = torch.empty_like(a)
    source = torch.zeros(copied // 4, device=device).add_(1)
    target = torch.empty_like(source)
    works = [
        Workload('peak', lambda: torch.mm(a, b, out=product)),
        Workload('bandwidth', lambda: target.copy_(source)),
    ]
    plan = Plan(min_time=0.5 if conditions.quick else 2.0, rounds=5, warmup=2)
    with conditions.applied(), intra_op_threads(threads):
        timings = measure(works, plan, device)
    if timings.interrupted:
        raise KeyboardInterrupt
    fastest = {key: float(timing.samples.min()) for key, timing in timings.by_key.items()}
    return Roofline(
        peak=2 * side**3 / fastest['peak'],
        bandwidth=2 * copied / fastest['bandwidth'],
        device=device.type,
        threads=threads,
        precision=conditions.precision,
    )


def describe_machine(device: torch.device) -> dict:
    """CPU, GPU, memory, system and versions, in plain values."""
    has_affinity = hasattr(os, 'sched_getaffinity')
    machine = {
        'cpu': cpu_model(),
        'cpu_cores': len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count(),
        'cpu_capability': torch.backends.cpu.get_cpu_capability(),
        'memory_gb': _memory_gb(),
        'gpu': None,
        'system': platform.system(),
        'architecture': platform.machine(),
        'python': platform.python_version(),
        'versions': _versions(),
    }
    if device.type == 'cuda':
        properties = torch.cuda.get_device_properties(device)
        machine |= {
            'gpu': properties.name,
            'gpu_memory_gb': round(properties.total_memory / 2**30, 1),
            'cuda': torch.version.cuda,
            'cudnn': torch.backends.cudnn.version(),
            'cudnn_benchmark': True,
        }
    return machine


def cpu_model() -> str:
    """The processor's name as the system gives it."""
    info = Path('/proc/cpuinfo')
    if info.is_file():
        for line in info.read_text(errors='replace').splitlines():
            if line.lower().startswith(('model name', 'hardware')):
                return line.split(':', 1)[1].strip()
    return platform.processor() or platform.machine()


def _memory_gb() -> float | None:
    try:
        total = os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES')
    except (AttributeError, ValueError, OSError):
        return None
    return round(total / 2**30, 1)


def _versions() -> dict[str, str]:
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return versions
