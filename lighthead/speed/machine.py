"""Which machine this is, and what it can do at most: the roofline.

No host or user name is recorded.
"""

import os
import platform
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path

import torch

from lighthead.speed.settings import Settings
from lighthead.speed.timer import Plan, Workload, intra_op_threads, measure

PACKAGES = ('torch', 'torchvision', 'mmdet', 'mmengine', 'numpy', 'pytorchcv', 'lighthead')
MATRIX = {'cpu': 1536, 'cuda': 8192}
"""Side of the matrices whose product measures the peak."""
COPIED_BYTES = {'cpu': 1 << 28, 'cuda': 1 << 30}
"""Size of the buffer whose copy measures the bandwidth, well above any cache."""


@dataclass(frozen=True)
class Roofline:
    """What the machine reaches at most, measured."""

    peak: float
    """FLOP/s of a large matrix product (2 FLOPs per multiply-add)."""
    bandwidth: float
    """Bytes/s of a large copy, reading and writing together."""
    device: str
    threads: int
    precision: str

    def describe(self) -> dict:
        """Plain values for the record."""
        return asdict(self)


def measure_roofline(settings: Settings, threads: int) -> Roofline:
    """Measure peak and bandwidth with so many CPU threads; the best of the calls counts."""
    kind = settings.torch_device.type
    side = MATRIX[kind]
    generator = torch.Generator().manual_seed(settings.seed)
    a = torch.randn(side, side, generator=generator).to(settings.torch_device, settings.dtype)
    b = a.t().contiguous()
    product = torch.empty_like(a)
    source = torch.zeros(COPIED_BYTES[kind] // 4, device=settings.torch_device).add_(1)
    target = torch.empty_like(source)
    works = [
        Workload('peak', lambda: torch.mm(a, b, out=product)),
        Workload('bandwidth', lambda: target.copy_(source)),
    ]
    plan = Plan(min_time=0.5 if settings.quick else 2.0, rounds=5, warmup=2)
    with intra_op_threads(threads):
        timings = measure(works, plan, settings.torch_device)
    if timings.interrupted:
        raise KeyboardInterrupt
    return Roofline(
        peak=2 * side**3 / float(timings.by_key['peak'].samples.min()),
        bandwidth=2 * COPIED_BYTES[kind] / float(timings.by_key['bandwidth'].samples.min()),
        device=kind,
        threads=threads,
        precision=settings.precision,
    )


def describe_machine(settings: Settings) -> dict:
    """CPU, GPU, memory, system and versions, in plain values."""
    machine = {
        'cpu': cpu_model(),
        'cpu_cores': len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else None,
        'cpu_capability': torch.backends.cpu.get_cpu_capability(),
        'memory_gb': _memory_gb(),
        'gpu': None,
        'system': platform.system(),
        'architecture': platform.machine(),
        'python': platform.python_version(),
        'versions': _versions(),
    }
    if machine['cpu_cores'] is None:
        machine['cpu_cores'] = os.cpu_count()
    if settings.on_gpu:
        properties = torch.cuda.get_device_properties(settings.torch_device)
        machine['gpu'] = properties.name
        machine['gpu_memory_gb'] = round(properties.total_memory / 2**30, 1)
        machine['cuda'] = torch.version.cuda
        machine['cudnn'] = torch.backends.cudnn.version()
        machine['cudnn_benchmark'] = True
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
    found = {}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found
