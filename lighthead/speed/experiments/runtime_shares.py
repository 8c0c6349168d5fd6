"""Where a network's time goes, by kind of operation (arXiv 1807.11164, Figure 2).

From torch's profiler: the time that each operation spends in itself, sorted into the kinds of
:data:`KINDS`. What the profiler gives to no operation (Python, launching, waiting) is
'others', so that the shares add up to the measured time. Data movement is the way of the
images to the network (bytes to normalised floats on the device) and copies between memory
layouts and types.
"""

from argparse import Namespace
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.profiler_util import FunctionEvent
from torch.profiler import record_function

from lighthead.report.page import Bars, Chart, Page, Table
from lighthead.speed.harness.bench import Bench
from lighthead.speed.harness.conditions import Conditions
from lighthead.speed.harness.prepared import prepare_model
from lighthead.speed.harness.profiling import profile_calls
from lighthead.speed.harness.record import Record, timing_fields
from lighthead.speed.harness.timer import Workload, intra_op_threads
from lighthead.speed.networks import Network, find_network

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


def kind_of(name: str, shapes: Sequence[Any] | None, parents: Iterable[str]) -> str:
    """The kind of an operation.

    Args:
        name: As the profiler has it, such as ``aten::cat``.
        shapes: Of its inputs, where recorded: images, then weights.
        parents: Names of the ranges and operations around it, innermost first.
    """
    around = [parent.removeprefix('aten::') for parent in parents]
    if DATA in around:
        return 'data movement'
    bare = name.removeprefix('aten::').removesuffix('_out')
    if 'batch_norm' in bare:
        return 'batch norm'
    if 'conv' in bare:
        return 'depthwise convolution' if _is_depthwise(shapes) else 'dense convolution'
    if bare in COPIES:  # the shuffle's reshape of a transposed map copies it
        return 'shuffle, split, concat' if 'reshape' in around else 'data movement'
    if bare.strip('_') in JOINS or bare in JOINS:
        return 'shuffle, split, concat'
    return 'element-wise' if bare.rstrip('_') in ELEMENTWISE else 'others'


def _is_depthwise(shapes: Sequence[Any] | None) -> bool:
    """Whether each input channel (of more than one) has filters of its own."""
    if not shapes or len(shapes) < 2 or len(shapes[0]) != 4 or len(shapes[1]) != 4:
        return False
    return shapes[0][1] > 1 and shapes[1][1] == 1


def size_of(network: Network, conditions: Conditions) -> tuple[int, int]:
    """Height and width of the network's images."""
    return conditions.shape or (network.paper.size, network.paper.size)


def make_call(network: Network, batch: int, conditions: Conditions) -> Callable[[], object]:
    """A function that takes a batch of bytes to the device and through the network."""
    model = prepare_model(network.build, conditions)
    generator = torch.Generator().manual_seed(conditions.seed)
    shape = (batch, 3, *size_of(network, conditions))
    images = torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)
    if conditions.on_gpu:
        images = images.pin_memory()

    @torch.inference_mode()
    def call() -> object:
        with record_function(DATA):
            inputs = normalise(images, conditions)
        with conditions.applied():
            return model(inputs)

    return call


def normalise(images: Tensor, conditions: Conditions) -> Tensor:
    """Bytes (B, 3, H, W) as floats around 0 on the device."""
    floats = images.to(conditions.torch_device, non_blocking=True).float()
    floats = floats.sub_(127.5).div_(58.0)
    return floats.to(memory_format=torch.channels_last) if conditions.channels_last else floats


def seconds_by_kind(operations: Iterable[tuple[FunctionEvent, float]]) -> dict[str, float]:
    """Seconds of each kind, from operations with their own seconds."""
    seconds = dict.fromkeys(KINDS, 0.0)
    for event, own in operations:
        if event.name != DATA:  # a range, no operation
            seconds[kind_of(event.name, event.input_shapes, _parents(event))] += own
    return seconds


def shares_of(seconds: dict[str, float], total: float) -> dict[str, float]:
    """Fractions of the time; what no operation accounts for belongs to 'others'.

    Kernels that run side by side can exceed the total: the fractions are of their sum then.
    """
    seen = sum(seconds.values())
    seconds = seconds | {'others': seconds['others'] + max(0.0, total - seen)}
    return {kind: value / max(total, seen) for kind, value in seconds.items()}


def _parents(event: FunctionEvent) -> Iterable[str]:
    parent = event.cpu_parent
    while parent is not None:
        yield parent.name
        parent = parent.cpu_parent


def measure(bench: Bench, args: Namespace) -> Record:
    """Time each network, then profile it; the shares divide the time without the profiler."""
    conditions = bench.conditions
    record = bench.record('breakdown', 'Where the time goes (Figure 2)')
    networks = [find_network(key) for key in args.networks or DEFAULT_NETWORKS]
    batch = conditions.batch or (8 if conditions.on_gpu else 1)
    threads = conditions.all_threads if conditions.on_gpu else conditions.threads or 1
    with bench.stoppable():
        calls = {n.key: make_call(n, batch, conditions) for n in bench.each('building', networks)}
        works = [Workload(key, call, batch) for key, call in calls.items()]
        timings = bench.time('timing', works, threads, conditions.plan(0.7))
        for network in bench.each('profiling', [n for n in networks if n.key in timings]):
            count = CALLS_QUICK if conditions.quick else CALLS
            with intra_op_threads(threads):
                call, device = calls[network.key], conditions.torch_device
                operations, total = profile_calls(call, count, device)
            seconds = seconds_by_kind(operations)
            size, timing = size_of(network, conditions), timings[network.key]
            record.measurements.append(
                {'id': network.key, 'name': network.label}
                | timing_fields(timing, conditions, threads, size, COVERS)
                | {'profiled_ms': total * 1e3, 'shares': shares_of(seconds, total)}
            )
    return record


def layout(record: Record) -> Page:
    """The chart of Figure 2, the shares in percent and in milliseconds."""
    rows = record.measurements
    if not rows:
        return Page(record.title)
    chart = Chart(
        'breakdown',
        'Runtime by kind of operation, as in Figure 2 of the paper; grey: others.',
        [[Bars('', [row['name'] for row in rows], _by_kind(rows))]],
        xlabel='share of the time in %',
        horizontal=True,
        stacked=True,
        labelled=True,
        size=(9.0, 1.9 + 0.75 * len(rows)),
    )
    note = (
        'The paper gives Figure 2 as a picture without numbers. Its finding: convolution takes '
        'most of the time, but data movement, shuffle and element-wise operations, which count '
        'no FLOPs, take a considerable part.'
    )
    tables = [_table('Runtime shares in %', rows, 1, 100.0)]
    tables.append(_table('Milliseconds per batch', rows, 2, None))
    return Page(record.title, [note], [chart], tables=tables)


def _by_kind(rows: list[dict]) -> dict[str, list[float]]:
    return {kind: [100 * row['shares'][kind] for row in rows] for kind in KINDS}


def _table(title: str, rows: list[dict], digits: int, scale: float | None) -> Table:
    lines = []
    for row in rows:
        values = [row['shares'][kind] * (scale or row['ms_median']) for kind in KINDS]
        lines.append([row['name'], *(f'{value:.{digits}f}' for value in [*values, sum(values)])])
    note = (
        f'Batch {rows[0]["batch"]}, {rows[0]["threads"]} thread(s). The profiler slows small '
        'operations down, so its shares lean towards networks of many of them; they divide the '
        'time measured without it. Others: what no kernel accounts for, that is Python, torch '
        'choosing kernels, and memory being allocated.'
    )
    return Table(title, ['network', *KINDS, 'sum'], lines, note)
