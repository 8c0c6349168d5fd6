"""What a start costs on every backend: import, loading the file, the first image; seconds and MiB.

Each start is a process of its own; the backends take turns. OpenVINO is started without and with a
folder for compiled models (LIGHTHEAD_OPENVINO_CACHE), which its first start there fills.

    python benchmarks/startup.py CHECKPOINT IMAGE --threads 2 --rounds 5
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from all_backends import RUNTIMES, export_all
from comparison import make_parser
from rich.console import Console
from rich.table import Table

from lighthead.inference.runtimes.openvino_backend import CACHE_VARIABLE

START = """
import json, sys, time
begin = time.perf_counter()
from lighthead import Detector
imported = time.perf_counter()
path, threads, image = sys.argv[1], int(sys.argv[2]), sys.argv[3]
detector = Detector(path, device='cpu', threads=threads)
loaded = time.perf_counter()
detector(image)
first = time.perf_counter()
detector(image)
second = time.perf_counter()
# Not getrusage's peak, which begins with that of the process that started this one.
lines = dict(line.split(':', 1) for line in open('/proc/self/status'))
peak = int(lines['VmHWM'].split()[0]) / 1024
print(json.dumps([imported - begin, loaded - imported, first - loaded, second - first, peak]))
"""
COLUMNS = ('import s', 'load s', 'first image s', 'second image s', 'peak MiB')


def start(path: Path, threads: int, image: str, cache: str | None) -> list[float]:
    """One start in a process of its own: the numbers of :data:`COLUMNS`."""
    environment = {key: value for key, value in os.environ.items() if key != CACHE_VARIABLE}
    if cache:
        environment[CACHE_VARIABLE] = cache
    command = [sys.executable, '-W', 'ignore', '-c', START, str(path), str(threads), image]
    printed = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return json.loads(printed.stdout.splitlines()[-1])


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument('checkpoint', type=Path, help='of tools/train.py')
    parser.add_argument('image', help='a photograph')
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        files = export_all(args.checkpoint, Path(name), None)
        starts: dict[str, tuple[Path, str | None]] = {'torch': (args.checkpoint, None)}
        starts |= {RUNTIMES[kind]: (path, None) for kind, path in files.items()}
        if 'openvino' in files:
            cache = str(Path(name) / 'cache')
            starts['openvino, compiled model kept'] = (files['openvino'], cache)
            start(files['openvino'], args.threads, args.image, cache)
        numbers: dict[str, list[list[float]]] = {key: [] for key in starts}
        for number in range(args.rounds):
            for key in list(starts)[:: -1 if number % 2 else 1]:
                numbers[key].append(start(starts[key][0], args.threads, args.image, starts[key][1]))
    table = Table(title=f'median of {args.rounds} starts, {args.threads} threads')
    table.add_column('backend')
    for column in COLUMNS:
        table.add_column(column, justify='right')
    for key, rows in numbers.items():
        *seconds, peak = np.median(rows, axis=0)
        table.add_row(key, *(f'{value:.2f}' for value in seconds), f'{peak:.0f}')
    Console(width=None if sys.stdout.isatty() else 110).print(table)


if __name__ == '__main__':
    main()
