"""Where each millisecond of one image goes, from the decoded image to boxes, on every backend.

In torch a stage is timed where it is called; in an exported file the runtime's own times of its
operators are added up by stage. "between" is what no stage accounts for: Python, the runtime's own
work between operators, waiting for threads. The last rows compare the whole call, timed without
any of this, with the multiply-adds at the speed of the machine's matrix product.

    python benchmarks/stages.py CHECKPOINT IMAGE --threads 2 --side 416
"""

import argparse
import contextlib
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import torch
from all_backends import export_all
from comparison import make_parser
from convolutions import SIDE, product_calls
from layers import onnxruntime_layers, openvino_layers
from onnx_stages import STAGES, stages_of
from rich.console import Console
from rich.table import Table

from lighthead import Detector
from lighthead.checkpoint.build_model import build_model
from lighthead.checkpoint.checkpoint_files import load_checkpoint_file
from lighthead.checkpoint.specification import read_specification
from lighthead.deploy.dense import DenseNetwork
from lighthead.deploy.eager_suppression import EagerSuppression
from lighthead.inference.images import read_image
from lighthead.inference.runtimes.files import sizes_array
from lighthead.speed.harness.complexity import count
from lighthead.speed.harness.quiet import quiet_libraries
from lighthead.speed.harness.timer import Plan, Workload, intra_op_threads, measure

PREPROCESSING, POST_PROCESSING = 'preprocessing', 'post-processing'
OTHER, BETWEEN = 'other operators', 'between'
ALL, UNWATCHED = 'all', 'whole call, not watched'
NEEDED, RATIO = 'multiply-adds at the product', 'times that'


class Stopwatch:
    """Adds up the time of calls of functions that it is put around."""

    def __init__(self) -> None:
        self.times: dict[str, float] = defaultdict(float)

    @contextlib.contextmanager
    def around(self, owner: object, name: str, stage: str) -> Iterator[None]:
        """Time a method of an object or a class meanwhile."""
        function, own = getattr(owner, name), name in vars(owner)

        def timed(*args: object, **kwargs: object) -> object:
            begin = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                self.times[stage] += 1e3 * (time.perf_counter() - begin)

        setattr(owner, name, timed)
        try:
            yield
        finally:
            delattr(owner, name)
            if own:
                setattr(owner, name, function)


@contextlib.contextmanager
def watched(detector: Detector, stopwatch: Stopwatch) -> Iterator[None]:
    """The stages of a detector that Python calls, under the stopwatch."""
    backend = detector.backend
    calls = [
        (detector, 'load', PREPROCESSING),
        (backend, 'make_batch', PREPROCESSING),
        (detector, '_finish', POST_PROCESSING),
    ]
    parts = getattr(backend, 'stages', None)
    if parts is not None:
        names = [
            (parts, 'dense_maps'),
            (parts.candidates, 'forward'),
            (EagerSuppression, 'rois'),
            (parts.pooling, 'forward'),
            (parts.head, 'forward'),
            (parts.box_decoder, 'forward'),
            (parts.class_scores, 'forward'),
            (EagerSuppression, 'detections'),
        ]
        calls += [(*where, stage) for where, stage in zip(names, EAGER_STAGES, strict=True)]
    with contextlib.ExitStack() as stack:
        for call in calls:
            stack.enter_context(stopwatch.around(*call))
        yield


EAGER_STAGES = (*STAGES[:5], STAGES[5], STAGES[5], STAGES[6])
"""Of what :func:`watched` watches in torch, in its order."""


def open_detectors(checkpoint: Path, file: Path, args: argparse.Namespace) -> dict[str, Detector]:
    """Detectors by backend and precision; OpenVINO reads the ONNX file too."""
    detectors = {}
    for key in ('torch fp32', 'torch bf16', 'onnxruntime fp32', 'openvino fp32', 'openvino bf16'):
        backend, precision = key.split()
        path = checkpoint if backend == 'torch' else file
        detector = Detector(path, 'cpu', backend, precision, args.score_thr, threads=args.threads)
        if args.side:
            scale = (args.side, args.side)
            detector.preprocess = replace(detector.preprocess, scale=scale, keep_ratio=False)
        detectors[key] = detector
    return detectors


def python_times(detector: Detector, image: np.ndarray, calls: int) -> dict[str, float]:
    """Median milliseconds of a call's stages, as far as Python calls them, and :data:`ALL`."""
    rows = []
    for _ in range(calls):
        stopwatch = Stopwatch()
        with watched(detector, stopwatch):
            begin = time.perf_counter()
            detector(image)
            stopwatch.times[ALL] = 1e3 * (time.perf_counter() - begin)
        rows.append(stopwatch.times)
    return {stage: float(np.median([row[stage] for row in rows])) for stage in rows[0]}


def file_times(
    path: Path, backend: str, detector: Detector, image: np.ndarray, args: argparse.Namespace
) -> dict[str, float]:
    """Milliseconds of an exported file's operators, by stage."""
    resized = detector.preprocess.resize(image)
    batch = detector.backend.make_batch(detector.preprocess, [resized])
    inputs = dict(images=batch, sizes=sizes_array([resized.shape[:2]]))
    if backend.startswith('openvino'):
        precision = 'bf16' if backend.endswith('bf16') else 'f32'
        layers = openvino_layers(path, inputs, args.threads, precision, args.calls)
    else:
        layers = onnxruntime_layers(path, inputs, args.threads, args.calls)
    stage = stages_of(onnx.load(path))
    times: dict[str, float] = defaultdict(float)
    for name, kind, _, microseconds in layers:
        times[stage(name, kind) or OTHER] += microseconds / 1e3
    return times


def table_of(columns: dict[str, dict[str, float]], title: str) -> Table:
    """Milliseconds by stage and backend."""
    table = Table(title=title)
    table.add_column('ms')
    for backend in columns:
        table.add_column(backend, justify='right')
    parts = (PREPROCESSING, *STAGES, OTHER, POST_PROCESSING, BETWEEN)
    for row in (*parts, ALL, UNWATCHED, NEEDED, RATIO):
        table.add_row(row, *(f'{times.get(row, 0):.2f}' for times in columns.values()))
    return table


def multiply_adds(checkpoint: Path, size: tuple[int, int]) -> int:
    """Of the dense part, for images of (height, width)."""
    specification = read_specification(load_checkpoint_file(checkpoint)['meta'], checkpoint)
    model = build_model(specification.model_cfg())
    return count(DenseNetwork(model), torch.zeros(1, 3, *size)).macs


def operations(checkpoint: Path, detector: Detector, image: np.ndarray) -> tuple[int, int]:
    """Multiply-adds of the dense part and of the fully connected layers, for this image."""
    specification = read_specification(load_checkpoint_file(checkpoint)['meta'], checkpoint)
    model = build_model(specification.model_cfg())
    size = detector.preprocess.padded_size(image.shape[:2])
    head, rois = vars(detector.backend)['stages'].head, []
    hook = head.register_forward_hook(lambda _, inputs, __: rois.append(len(inputs[0])))
    detector(image)
    hook.remove()
    weights = sum(layer.weight.numel() for layer in (head.shared, head.classify, head.regress))
    return count(DenseNetwork(model), torch.zeros(1, 3, *size)).macs, rois[0] * weights


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument('checkpoint', type=Path, help='of tools/train.py')
    parser.add_argument('image', help='a photograph')
    parser.add_argument('--onnx', type=Path, metavar='FILE', help='its export (default: exported)')
    parser.add_argument('--side', type=int, metavar='PIXELS', help='of a square input')
    parser.add_argument('--calls', type=int, default=50, help='that are watched')
    parser.add_argument('--score-thr', type=float, default=0.3)
    args = parser.parse_args()
    image = read_image(args.image)
    with tempfile.TemporaryDirectory() as name, quiet_libraries(), intra_op_threads(args.threads):
        file = args.onnx or export_all(args.checkpoint, Path(name), None)['onnx']
        detectors = open_detectors(args.checkpoint, file, args)
        calls = product_calls() | {key: partial(run, image) for key, run in detectors.items()}
        work = [Workload(key, call) for key, call in calls.items()]
        plan = Plan(min_time=args.seconds, rounds=args.rounds)
        timings = measure(work, plan, torch.device('cpu')).by_key
        columns = {}
        for key, detector in detectors.items():
            times = python_times(detector, image, args.calls)
            if not key.startswith('torch'):
                times |= file_times(file, key, detector, image, args)
            times[BETWEEN] = 2 * times[ALL] - sum(times.values())
            times[UNWATCHED] = 1e3 * timings[key].median
            columns[key] = times
        dense, layers = operations(args.checkpoint, detectors['torch fp32'], image)
    speeds = {key: 2 * SIDE**3 / timings[f'product {key}'].median for key in ('fp32', 'bf16')}
    least = {key: 2e3 * (dense + layers) / speed for key, speed in speeds.items()}
    for key, times in columns.items():
        times[NEEDED] = least[key.split()[-1]]
        times[RATIO] = times[UNWATCHED] / times[NEEDED]
    title = (
        f'{dense / 1e9:.2f} + {layers / 1e9:.2f} G multiply-adds of convolutions and fully '
        f'connected layers, {args.threads} threads, torch {torch.__version__}'
    )
    Console(width=None if sys.stdout.isatty() else 120).print(table_of(columns, title))


if __name__ == '__main__':
    main()
