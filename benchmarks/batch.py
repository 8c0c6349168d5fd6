"""What Ray costs: the same job in one process and on a local Ray with one actor.

The photographs are linked until there are ``--images`` of them. Runs alternate; each is a process
of its own. The time of a run over few images is taken off: that of starting Python, Ray and the
model. Processor time is of all processes of the run.

    python benchmarks/batch.py model.onnx FOLDER --images 5000 --rounds 3
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import NamedTuple

import psutil
from inference_pipeline import link_images

from lighthead.inference.inputs import IMAGE_SUFFIXES

FEW = 32
"""Images of the run whose time is that of starting."""


class Run(NamedTuple):
    """Seconds, and processor seconds of all processes."""

    wall: float
    processor: float


def watch(process: subprocess.Popen, seconds: dict[int, float]) -> None:
    """Note the processor seconds of a process and its descendants until it ends."""
    while process.poll() is None:
        try:
            tree = [psutil.Process(process.pid)]
            tree += tree[0].children(recursive=True)
        except psutil.NoSuchProcess:
            return
        for one in tree:
            try:
                times = one.cpu_times()
            except psutil.NoSuchProcess:
                continue
            seconds[one.pid] = times.user + times.system
        time.sleep(0.5)


def run(args: argparse.Namespace, folder: Path, out: Path, executor: str) -> Run:
    """One job, from the command line."""
    line = [sys.executable, '-m', 'lighthead', 'batch', folder, out, '--model', args.model]
    line += ['--threads', args.threads, '--batch-size', args.batch_size, '--executor', executor]
    line += ['--shard-size', 500, '--device', args.device, *(['--actors', 1] * (executor == 'ray'))]
    seconds: dict[int, float] = {}
    started = time.monotonic()
    process = subprocess.Popen(
        list(map(str, line)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    watcher = threading.Thread(target=watch, args=(process, seconds))
    watcher.start()
    _, errors = process.communicate()
    wall = time.monotonic() - started
    watcher.join()
    assert process.returncode == 0, errors
    return Run(wall, sum(seconds.values()))


def per_image(args: argparse.Namespace, folder: Path, few: Path, out: Path, executor: str) -> Run:
    """Milliseconds per image, without starting Python, Ray and the model."""
    start = run(args, few, out.with_name(f'{out.name}-few'), executor)
    whole = run(args, folder, out, executor)
    scale = 1e3 / (args.images - FEW)
    print(
        f'{executor:8} started in {start.wall:.1f} s, {args.images} images in {whole.wall:.1f} s, '
        f'processor {start.processor:.1f} and {whole.processor:.1f} s',
        flush=True,
    )
    return Run(*((a - b) * scale for a, b in zip(whole, start, strict=True)))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('model', help='a model, a checkpoint, or an exported file')
    parser.add_argument('folder', help='photographs')
    parser.add_argument('--images', type=int, default=5000)
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--threads', type=int, default=1, help='of the network')
    parser.add_argument('--batch-size', type=int, default=1)
    parser.add_argument('--device', default='cpu')
    args = parser.parse_args()
    sources = [p for p in sorted(Path(args.folder).iterdir()) if p.suffix.lower() in IMAGE_SUFFIXES]
    runs: dict[str, list[Run]] = {'process': [], 'ray': []}
    with tempfile.TemporaryDirectory() as name:
        folder, few = Path(name) / 'in', Path(name) / 'few'
        link_images(sources, folder, args.images)
        link_images(sources, few, FEW)
        for number in range(args.rounds):
            for executor, done in runs.items():
                out = Path(name) / f'{executor}{number}'
                done.append(per_image(args, folder, few, out, executor))
    print(f'milliseconds per image, processor milliseconds; medians of {args.rounds}')
    medians = {key: Run(*map(statistics.median, zip(*done))) for key, done in runs.items()}
    for executor, median in medians.items():
        print(f'{executor:8}', *(f'{value:8.2f}' for value in median))
    here, ray = medians['process'], medians['ray']
    print(
        f'Ray takes {ray.wall / here.wall - 1:+.1%} time, '
        f'{ray.processor / here.processor - 1:+.1%} processor time'
    )


if __name__ == '__main__':
    main()
