"""Milliseconds per photograph of a detector's files, each runtime in its own process, in turn.

Threads of a runtime that wait for work would disturb the next of the same process. From a decoded
photograph to boxes, one at a time; the first ten of each process do not count.

    python benchmarks/runtimes.py model.onnx model.xml model.xml@bf16 --photos DIR \
        [--threads 2] [--rounds 2] [--count 100]
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from lighthead import Detector
from lighthead.inference.images import read_image

WARM_UP = 10


def times(model: str, args: argparse.Namespace) -> list[float]:
    """Milliseconds of each photograph, in this process."""
    path, _, precision = model.partition('@')
    detector = Detector(path, threads=args.threads, precision=precision or None, score_thr=0.05)
    found = []
    for number, photo in enumerate(sorted(Path(args.photos).glob('*.jpg'))[: args.count + WARM_UP]):
        image = read_image(photo)
        begun = time.perf_counter()
        detector(image)
        if number >= WARM_UP:
            found.append((time.perf_counter() - begun) * 1e3)
    return found


def in_own_process(model: str, args: argparse.Namespace) -> list[float]:
    """The same in a new process."""
    words = [sys.executable, __file__, model, '--photos', args.photos, '--one']
    words += ['--threads', str(args.threads), '--count', str(args.count)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    found: list[float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('models', nargs='+', metavar='MODEL[@PRECISION]', help='files or names')
    parser.add_argument('--photos', required=True, metavar='DIR', help='a folder of .jpg files')
    parser.add_argument('--threads', type=int, default=2)
    parser.add_argument('--rounds', type=int, default=2)
    parser.add_argument('--count', type=int, default=100, help='photographs')
    parser.add_argument('--one', action='store_true', help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        print(json.dumps(times(args.models[0], args)))
        return
    found: dict[str, list[list[float]]] = {model: [] for model in args.models}
    for _ in range(args.rounds):
        for model in args.models:
            found[model].append(in_own_process(model, args))
    table = Table('model', 'median ms', 'p10', 'p90', 'medians of the rounds')
    for model, rounds in found.items():
        every = sorted(value for values in rounds for value in values)
        cuts = (every[len(every) // 10], every[len(every) * 9 // 10])
        medians = ', '.join(f'{statistics.median(values):.1f}' for values in rounds)
        numbers = [f'{value:.1f}' for value in (statistics.median(every), *cuts)]
        table.add_row(model, *numbers, medians)
    Console().print(table)


if __name__ == '__main__':
    main()
