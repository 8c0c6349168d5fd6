"""What torch's profiler says about calls: the time that each operation spends in itself."""

import os
import time
from collections.abc import Callable

import torch
from torch.autograd.profiler_util import FunctionEvent
from torch.profiler import ProfilerActivity, profile

from lighthead.speed.harness.timer import synchronise


def profile_calls(
    call: Callable[[], object], calls: int, device: torch.device
) -> tuple[list[tuple[FunctionEvent, float]], float]:
    """Profile some calls; one before them is not counted.

    Returns:
        Operations with their own seconds per call, on the GPU where ``device`` is one, and the
        seconds of a call. An operation has the time of the kernels that it launched.
    """
    os.environ.setdefault('KINETO_LOG_LEVEL', '5')  # it reports a missing GPU as an error
    on_gpu = device.type == 'cuda'
    activities = [ProfilerActivity.CPU] + ([ProfilerActivity.CUDA] if on_gpu else [])
    call()
    with profile(activities=activities, record_shapes=True, acc_events=True) as profiler:
        synchronise(device)
        begin = time.perf_counter()
        for _ in range(calls):
            call()
        synchronise(device)
        total = time.perf_counter() - begin
    operations = [
        (event, (event.self_device_time_total if on_gpu else event.self_cpu_time_total) / 1e6)
        for event in profiler.events()
        if event.device_type == torch.autograd.DeviceType.CPU
    ]
    return [(event, own / calls) for event, own in operations if own > 0], total / calls
