"""Where the time of an exported file goes, by kind of layer and by the kernel that ran it.

For INT8 files it shows what is not the integer product: conversions around layers left in float,
activations that were not fused, depthwise kernels, reordering.

    python benchmarks/layers.py int8.xml --shape 416 416 --threads 2
    python benchmarks/layers.py int8.onnx --backend onnxruntime
"""

import json
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

import numpy as np
from comparison import make_parser
from rich.console import Console
from rich.table import Table

from lighthead.inference.runtimes.exported import READERS, SUFFIXES

Layers = list[tuple[str, str, str, float]]
"""Name, kind, kernel and microseconds of each layer, of one call."""


def openvino_layers(path: Path, inputs: dict, threads: int, precision: str, calls: int) -> Layers:
    """OpenVINO's own counters, the median of several calls."""
    import openvino

    options = dict(
        PERF_COUNT=True, INFERENCE_PRECISION_HINT=precision, INFERENCE_NUM_THREADS=threads
    )
    request = openvino.Core().compile_model(path, 'CPU', options).create_infer_request()
    times = defaultdict(list)
    for _ in range(calls):
        request.infer(inputs)
        for layer in request.profiling_info:
            key = (layer.node_name, layer.node_type, layer.exec_type)
            times[key].append(layer.real_time.total_seconds() * 1e6)
    return [(*key, float(np.median(values))) for key, values in times.items()]


def onnxruntime_layers(path: Path, inputs: dict, threads: int, calls: int) -> Layers:
    """ONNX Runtime's profile, the median of several calls."""
    import onnxruntime

    times = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.enable_profiling = True
        options.profile_file_prefix = f'{folder}/profile'
        session = onnxruntime.InferenceSession(str(path), options, ['CPUExecutionProvider'])
        for _ in range(calls):
            session.run(None, inputs)
        events = json.loads(Path(session.end_profiling()).read_text())
    for event in events:
        if event.get('cat') == 'Node' and event['name'].endswith('_kernel_time'):
            args = event['args']
            kinds = ''.join(sorted({*map(next_key, args.get('input_type_shape', []))}))
            times[event['name'], args['op_name'], kinds].append(event['dur'])
    return [(*key, float(np.median(values))) for key, values in times.items()]


def next_key(entry: dict) -> str:
    """The type of an operator's input."""
    return f'{next(iter(entry))} '


def table_of(layers: Layers, title: str) -> Table:
    """Milliseconds and share by kind and kernel, the largest first."""
    table = Table(title=title)
    for name in ('kind', 'kernel', 'layers', 'ms', 'share'):
        table.add_column(name, justify='left' if name in ('kind', 'kernel') else 'right')
    total = sum(layer[3] for layer in layers)
    times: dict[tuple[str, str], float] = defaultdict(float)
    counts: dict[tuple[str, str], int] = defaultdict(int)
    for _, kind, kernel, microseconds in layers:
        times[kind, kernel] += microseconds
        counts[kind, kernel] += microseconds > 0
    for key, value in sorted(times.items(), key=lambda entry: entry[1], reverse=True):
        if value >= total / 1000:
            numbers = (f'{counts[key]}', f'{value / 1e3:.2f}', f'{value / total:.1%}')
            table.add_row(*key, *numbers)
    table.add_row('all', '', str(sum(counts.values())), f'{total / 1e3:.2f}', '100%')
    return table


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument('file', type=Path, help='.onnx or .xml of tools/export.py')
    parser.add_argument('--backend', choices=('openvino', 'onnxruntime'))
    parser.add_argument('--precision', choices=('f32', 'bf16'), default='f32', help='of OpenVINO')
    parser.add_argument('--shape', nargs=2, type=int, default=(416, 416), metavar=('H', 'W'))
    args = parser.parse_args()
    suffix = args.file.suffix.lower()
    backend = args.backend or SUFFIXES.get(suffix)
    if backend not in READERS.get(suffix, ()):
        parser.error(f'{backend} cannot run {args.file}')
    images = np.random.default_rng(args.seed).standard_normal((1, 3, *args.shape), np.float32)
    inputs = dict(images=images, sizes=np.array([args.shape], np.float32))
    if backend == 'openvino':
        layers = openvino_layers(args.file, inputs, args.threads, args.precision, args.rounds)
    else:
        layers = onnxruntime_layers(args.file, inputs, args.threads, args.rounds)
    title = f'{args.file.name}, {backend}, {args.shape}, {args.threads} threads'
    Console(width=None if sys.stdout.isatty() else 110).print(table_of(layers, title))


if __name__ == '__main__':
    main()
