"""Images per second of every backend, by batch size, and with two streams of one thread each.

From decoded images to boxes, in alternating rounds; each call handles eight images of one size.
With streams, each has a detector of its own with one thread.

    python benchmarks/throughput.py CHECKPOINT IMAGE --threads 2 [--data-root DIR for INT8]
"""

import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import torch
from all_backends import export_all, open_all
from comparison import make_parser
from rich.console import Console
from rich.table import Table

from lighthead import Detector
from lighthead.inference.images import read_image
from lighthead.speed.harness.timer import Plan, Timing, Workload, measure

IMAGES = 8
BATCHES = (1, 2, 4, 8)


def run_batches(detector: Detector, batch_size: int, threads: int, images: Sequence) -> None:
    """All images in batches, with so many threads."""
    torch.set_num_threads(threads)
    detector.batch_size = batch_size
    detector(images)


def run_streams(detectors: Sequence[Detector], images: Sequence) -> None:
    """All images one by one, shared out among detectors that run at the same time."""
    torch.set_num_threads(1)
    shares = [images[index :: len(detectors)] for index in range(len(detectors))]
    with ThreadPoolExecutor(len(detectors)) as pool:
        list(pool.map(lambda pair: [pair[0](image) for image in pair[1]], zip(detectors, shares)))


def calls_of(
    backend: str, open_with: Callable[[int], dict[str, Detector]], threads: int, images: Sequence
) -> dict[str, Callable[[], None]]:
    """The settings of one backend as calls."""
    whole = open_with(threads)[backend]
    calls: dict[str, Callable[[], None]] = {
        f'{backend}: batch {size}': partial(run_batches, whole, size, threads, images)
        for size in BATCHES
    }
    streams = [open_with(1)[backend] for _ in range(threads)]
    calls[f'{backend}: {threads} streams'] = partial(run_streams, streams, images)
    return calls


def table_of(timings: Sequence[Timing], title: str) -> Table:
    """Images per second, and the ratio to batch 1 of the same backend."""
    table = Table(title=title)
    for name in ('backend', 'images/s', 'p10', 'p90', 'x batch 1'):
        table.add_column(name, justify='left' if name == 'backend' else 'right', no_wrap=True)
    first: dict[str, float] = {}
    for timing in timings:
        speed = timing.items_per_second
        base = first.setdefault(timing.key.partition(':')[0], speed)
        spread = [f'{timing.items / seconds:.1f}' for seconds in (timing.p90, timing.p10)]
        table.add_row(timing.key, f'{speed:.1f}', *spread, f'{speed / base:.2f}')
    return table


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument('checkpoint', type=Path, help='of tools/train.py')
    parser.add_argument('image', help='a photograph')
    parser.add_argument('--data-root', metavar='DIR', help='to calibrate INT8 with')
    args = parser.parse_args()
    image = read_image(args.image)
    images = [np.roll(image, 8 * index, axis=1) for index in range(IMAGES)]
    timings: list[Timing] = []
    with tempfile.TemporaryDirectory() as name:
        files = export_all(args.checkpoint, Path(name), args.data_root)
        open_with = partial(open_all, args.checkpoint, files, 0.05)
        for backend in open_with(args.threads):
            calls = calls_of(backend, open_with, args.threads, images)
            work = [Workload(key, call, IMAGES) for key, call in calls.items()]
            plan = Plan(min_time=args.seconds, rounds=args.rounds, warmup=1)
            timings += measure(work, plan, torch.device('cpu')).by_key.values()
    title = f'{args.threads} threads, torch {torch.__version__}, {image.shape[1]}x{image.shape[0]}'
    Console(width=None if sys.stdout.isatty() else 100).print(table_of(timings, title))


if __name__ == '__main__':
    main()
