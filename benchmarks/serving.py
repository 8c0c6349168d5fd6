"""Requests per second of lighthead serve on loopback: p50, p99, errors, by number of clients.

Each client sends its next photograph as soon as it has an answer, over one connection; one that
gets 503 goes on after 50 ms. Server and clients share the machine.

    python benchmarks/serving.py MODEL PHOTOS --clients 1 4 16 64 --seconds 20 [--batch-size 4]
"""

import argparse
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from itertools import cycle
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

ADDRESS = re.compile(r'http://([\w.]+):(\d+)')
BUSY, PAUSE = 503, 0.05


@contextmanager
def server(model: str, flags: Sequence[str]) -> Iterator[tuple[str, int]]:
    """A server of its own process; its host and port."""
    command = [sys.executable, '-m', 'lighthead', 'serve', model, '--port', '0', *flags]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        match = ADDRESS.search(process.stdout.readline() if process.stdout else '')
        if match is None:
            sys.exit('the server did not start')
        yield match[1], int(match[2])
    finally:
        process.send_signal(signal.SIGTERM)
        print(f'the server ended with {process.wait(60)}')


class Client(threading.Thread):
    """One client; ``seconds`` and ``statuses`` of its answers."""

    def __init__(self, address: tuple[str, int], photos: Iterator[bytes], end: float) -> None:
        super().__init__()
        self.address, self.photos, self.end = address, photos, end
        self.seconds: list[float] = []
        self.statuses: Counter[str] = Counter()

    def run(self) -> None:
        """Ask until the end."""
        connection = HTTPConnection(*self.address, timeout=120)
        while time.perf_counter() < self.end:
            start = time.perf_counter()
            try:
                connection.request('POST', '/detect', next(self.photos))
                response = connection.getresponse()
                response.read()
            except (OSError, HTTPException) as error:
                self.statuses[type(error).__name__] += 1
                connection.close()
                continue
            self.statuses[str(response.status)] += 1
            if response.status == BUSY:
                time.sleep(PAUSE)
            else:
                self.seconds.append(time.perf_counter() - start)


def load(address: tuple[str, int], photos: list[bytes], clients: int, seconds: float) -> list:
    """A row of the table: clients, answers per second, p50 and p99 in ms, what else came."""
    start = time.perf_counter()
    threads = [
        Client(address, cycle(photos[index:] + photos[:index]), start + seconds)
        for index in range(clients)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wall = time.perf_counter() - start
    times = 1e3 * np.array([second for thread in threads for second in thread.seconds])
    statuses = sum((thread.statuses for thread in threads), Counter())
    answered = statuses.pop('200', 0)
    others = ', '.join(f'{count} x {status}' for status, count in sorted(statuses.items()))
    p50, p99 = np.percentile(times, (50, 99)) if len(times) else (np.nan, np.nan)
    return [str(clients), f'{answered / wall:.1f}', f'{p50:.0f}', f'{p99:.0f}', others or 'none']


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('model')
    parser.add_argument('photos', type=Path, help='a folder of JPEG or PNG files')
    parser.add_argument('--clients', type=int, nargs='+', default=[1, 4, 16, 64])
    parser.add_argument('--seconds', type=float, default=20.0)
    args, flags = parser.parse_known_args()
    paths = sorted(path for path in args.photos.iterdir() if path.suffix in ('.jpg', '.png'))
    photos = [path.read_bytes() for path in paths[:64]]
    table = Table(title=f'{args.model}, {len(photos)} photographs, {" ".join(flags)}')
    for name in ('clients', 'answers/s', 'p50 ms', 'p99 ms', 'others'):
        table.add_column(name, justify='right')
    with server(args.model, flags) as address:
        load(address, photos, 1, 2.0)
        for clients in args.clients:
            table.add_row(*load(address, photos, clients, args.seconds))
    Console().print(table)


if __name__ == '__main__':
    main()
