"""Where a network's time goes, by kind of operation (arXiv 1807.11164, Figure 2).

From torch's profiler: the time that each operation spends in itself, sorted into
the kinds of :data:`KINDS`. What the profiler gives to no operation (Python, launching,
waiting) is 'others', so that the shares add up to the measured time. Data
movement is the way of the images to the network (bytes to normalised floats on the
device) and copies between memory layouts and types.
"""

import os
import time
from collections.abc import Callable, Iterable

import torch
from torch import Tensor
from torch.autograd.profiler_util import FunctionEvent
from torch.profiler import ProfilerActivity, profile, record_function

from lighthead.speed.bench import Bench
from lighthead.speed.networks import Network, find_network
from lighthead.speed.prepare import autocast, prepare_model
from lighthead.speed.record import Result, timing_fields
from lighthead.speed.settings import Settings
from lighthead.speed.timer import Workload, intra_op_threads

KINDS = (
    'dense convolution',
    'depthwise convolution',
    'data movement',
    'shuffle, split, concat',
    'element-wise',
    'batch norm',
    'others',
)
DEFAULT_NETWORKS = ('shufflenet_v1_1x', 'mobilenet_v2_1.0', 'shufflenet_v2_1x')
"""Those of Figure 2, and ShuffleNet v2."""
CALLS = 10
CALLS_QUICK = 3
COVERS = 'bytes to normalised images on the device, and the forward pass'
DATA = 'data'
"""Name of the profiler's range around the images' way to the device."""

ELEMENTWISE = (
    *('relu', 'clamp', 'clamp_min', 'hardtanh', 'add', 'mul', 'div', 'sub', 'sigmoid', 'threshold'),
    *('hardsigmoid', 'hardswish', 'silu'),
)
JOINS = ('cat', 'chunk', 'split', 'narrow', 'slice', 'transpose', 'view', 'reshape', 'as_strided')
COPIES = ('copy_', 'contiguous', 'to', '_to_copy', 'clone', 'empty_like')


def kind_of(name: str, shapes: list | None, parents: Iterable[str]) -> str:
    """The kind of an operation.

    Args:
        name: As the profiler has it, such as ``aten::cat``.
        shapes: Of its inputs, where recorded: images, then weights.
        parents: Names of the ranges and operations around it, innermost first.
    """
    parents = list(parents)
    if DATA in parents:
        return 'data movement'
    bare = name.removeprefix('aten::').removesuffix('_out')
    if 'batch_norm' in bare:
        return 'batch norm'
    if 'conv' in bare:
        return 'depthwise convolution' if _is_depthwise(shapes) else 'dense convolution'
    if bare in COPIES:
        # the shuffle's reshape of a transposed map copies it
        around = [parent.removeprefix('aten::') for parent in parents]
        return 'shuffle, split, concat' if 'reshape' in around else 'data movement'
    if bare.strip('_') in JOINS or bare in JOINS:
        return 'shuffle, split, concat'
    if bare.rstrip('_') in ELEMENTWISE:
        return 'element-wise'
    return 'others'


def _is_depthwise(shapes: list | None) -> bool:
    """Whether each input channel (of more than one) has filters of its own."""
    if not shapes or len(shapes) < 2 or len(shapes[0]) != 4 or len(shapes[1]) != 4:
        return False
    channels, per_group = shapes[0][1], shapes[1][1]
    return channels > 1 and per_group == 1


def make_call(network: Network, batch: int, settings: Settings) -> Callable[[], object]:
    """A function that takes a batch of bytes to the device and through the network."""
    size = settings.shape or (network.paper.size, network.paper.size)
    model = prepare_model(network.build, (batch, 3, *size), settings)
    generator = torch.Generator().manual_seed(settings.seed)
    images = torch.randint(0, 256, (batch, 3, *size), dtype=torch.uint8, generator=generator)
    if settings.on_gpu:
        images = images.pin_memory()

    @torch.inference_mode()
    def call() -> object:
        with record_function(DATA):
            inputs = normalise(images, settings)
        with autocast(settings):
            return model(inputs)

    return call


def normalise(images: Tensor, settings: Settings) -> Tensor:
    """Bytes (B, 3, H, W) as floats around 0 on the device."""
    floats = images.to(settings.torch_device, non_blocking=True).float()
    floats = floats.sub_(127.5).div_(58.0)
    if settings.channels_last:
        floats = floats.to(memory_format=torch.channels_last)
    return floats


def profile_call(call: Callable[[], object], calls: int, settings: Settings) -> dict[str, float]:
    """Seconds per call and kind; they add up to the seconds of a call under the profiler."""
    os.environ.setdefault('KINETO_LOG_LEVEL', '5')  # it reports a missing GPU as an error
    activities = [ProfilerActivity.CPU]
    if settings.on_gpu:
        activities.append(ProfilerActivity.CUDA)
    call()
    with profile(activities=activities, record_shapes=True, acc_events=True) as profiler:
        _synchronise(settings)
        begin = time.perf_counter()
        for _ in range(calls):
            call()
        _synchronise(settings)
        total = time.perf_counter() - begin
    seconds = dict.fromkeys(KINDS, 0.0)
    for event in profiler.events():
        own = event.self_device_time_total if settings.on_gpu else event.self_cpu_time_total
        if own > 0 and not _is_range(event):
            seconds[kind_of(event.name, event.input_shapes, _parents(event))] += own / 1e6
    seconds['others'] += max(0.0, total - sum(seconds.values()))
    scale = total / sum(seconds.values()) / calls  # kernels side by side can exceed the total
    return {kind: value * scale for kind, value in seconds.items()}


def _is_range(event: FunctionEvent) -> bool:
    """Whether this is no operation: a range of ours, or a kernel that its operation counts."""
    on_cpu = event.device_type == torch.autograd.DeviceType.CPU
    return event.name == DATA or not on_cpu


def _parents(event: FunctionEvent) -> Iterable[str]:
    parent = event.cpu_parent
    while parent is not None:
        yield parent.name
        parent = parent.cpu_parent


def _synchronise(settings: Settings) -> None:
    if settings.on_gpu:
        torch.cuda.synchronize(settings.torch_device)


def run(bench: Bench, keys: list[str]) -> Result:
    """Time each network, then profile it; the shares divide the time without the profiler."""
    settings = bench.settings
    result = bench.result('breakdown', 'Where the time goes (Figure 2)')
    networks = [find_network(key) for key in keys or DEFAULT_NETWORKS]
    batch = settings.batch or (8 if settings.on_gpu else 1)
    threads = settings.threads or (settings.all_threads if settings.on_gpu else 1)
    with bench.stoppable():
        calls = {
            network.key: make_call(network, batch, settings)
            for network in bench.each('building', networks)
        }
        works = [Workload(key, call, batch) for key, call in calls.items()]
        timings = bench.time('timing', works, threads, settings.plan(0.7))
        for network in bench.each('profiling', [n for n in networks if n.key in timings]):
            with intra_op_threads(threads):
                count = CALLS_QUICK if settings.quick else CALLS
                seconds = profile_call(calls[network.key], count, settings)
            timing = timings[network.key]
            total = sum(seconds.values())
            shares = {kind: value / total for kind, value in seconds.items()}
            size = settings.shape or (network.paper.size, network.paper.size)
            result.measurements.append(
                {'id': network.key, 'name': network.label}
                | timing_fields(timing, settings, threads, size, COVERS)
                | {'profiled_ms': total * 1e3}
                | {'shares': shares}
            )
    return result
