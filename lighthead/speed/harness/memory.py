"""Peak memory of a call, read in a process of its own.

On a CPU: how far the process's resident memory rises above what it held before the network
was built. On a GPU: what torch's allocator held at most.
"""

import contextlib
import multiprocessing
import resource
import sys
from collections.abc import Callable
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext, SpawnContext
from pathlib import Path

import torch
import torch.nn as nn

from lighthead.speed.harness.conditions import Conditions
from lighthead.speed.harness.prepared import prepare_call
from lighthead.speed.harness.timer import synchronise

PRELOADED = ['lighthead.speed.harness.memory', 'lighthead.models.classifier']
"""Imported once, in the process that the measuring processes are forked from."""
TIMEOUT = 300.0
STATUS = Path('/proc/self/status')


def peak_memory(prepare: Callable[[], Callable[[], object]], conditions: Conditions) -> float:
    """MiB that making something and running it once take.

    ``prepare`` returns what is run; it must be picklable: a function of a module, or a
    partial of one.

    Raises:
        RuntimeError: if the process fails, which then prints why, or takes too long.
    """
    context: ForkServerContext | SpawnContext = multiprocessing.get_context('spawn')
    if 'forkserver' in multiprocessing.get_all_start_methods():
        context = multiprocessing.get_context('forkserver')
        context.set_forkserver_preload(PRELOADED)
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_measure, args=(sender, prepare, conditions), daemon=True)
    process.start()
    sender.close()
    try:
        if receiver.poll(TIMEOUT):
            return receiver.recv()
        raise RuntimeError(f'No peak memory within {TIMEOUT:.0f} s.')
    except EOFError:
        raise RuntimeError('The process that measures peak memory failed.') from None
    finally:
        process.kill()
        process.join()


def _measure(
    sender: Connection, prepare: Callable[[], Callable[[], object]], conditions: Conditions
) -> None:
    torch.set_num_threads(conditions.all_threads)
    device = conditions.torch_device
    if conditions.on_gpu:
        prepare()()
        synchronise(device)
        sender.send(torch.cuda.max_memory_allocated(device) / 2**20)
        return
    # the libraries' own buffers and threads are not the network's
    prepare_call(partial(nn.Conv2d, 3, 8, 3), (1, 3, 32, 32), conditions)()
    reset_peak()
    before = _status_mb('VmRSS')
    prepare()()
    sender.send(_status_mb('VmHWM') - before)


def reset_peak() -> None:
    """Let the kernel's high-water mark start from here, where it can."""
    with contextlib.suppress(OSError):
        Path('/proc/self/clear_refs').write_text('5')


def _status_mb(name: str) -> float:
    """A line of Linux' process status in MiB; elsewhere the highest resident memory so far."""
    if STATUS.is_file():
        for line in STATUS.read_text().splitlines():
            if line.startswith(f'{name}:'):
                return int(line.split()[1]) / 2**10
    highest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return highest / 2**20 if sys.platform == 'darwin' else highest / 2**10
