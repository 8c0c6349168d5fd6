"""Tries odd inputs in child processes: crashes, hangs, memory and stray files are seen.

Each input is a function of the seed and its number, so that ``--first N --inputs 1`` repeats one.
"""

import contextlib
import gc
import multiprocessing
import os
import random
import resource
import signal
import tempfile
import traceback
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Protocol

from lighthead.errors import UserError

SECONDS = 60
"""An input that takes more processor time than that, or ten times as long, hangs."""
LONGEST = 2000
"""Characters of the longest error message."""
TOLD = 1500
"""Characters of an unexpected error that are printed, its last ones."""
OUT = 'out'
"""The folder, below a reader's, in which it may write."""
WORKING = Path(OUT, 'a', 'b', 'c')
"""The working directory: relative paths with a few ``..`` stay in the output."""


class Reader(Protocol):
    """Makes odd inputs in a folder and reads them as the project does."""

    megabytes: int
    """Address space that a child may take beyond what it has at its start."""

    def __init__(self, folder: Path) -> None: ...

    def make(self, rng: random.Random) -> None:
        """Make the next odd input."""
        ...

    def read(self) -> None:
        """Use it; a UserError refuses it, everything else that is raised is a fault."""
        ...


@dataclass
class Result:
    """What became of the inputs."""

    inputs: int = 0
    used: int = 0
    refused: int = 0
    faults: list[str] = field(default_factory=list)
    kinds: Counter = field(default_factory=Counter)
    """Outcomes, by the reader's own kinds of input."""
    peak: int = 0
    """MiB of resident memory, of the largest child."""

    def count(self, number: int, kind: str, outcome: str) -> None:
        """Count one input."""
        self.inputs += 1
        self.kinds[f'{kind} {outcome if outcome in ("used", "refused") else "fault"}'.strip()] += 1
        if outcome == 'used':
            self.used += 1
        elif outcome == 'refused':
            self.refused += 1
        else:
            self.faults.append(f'input {number}: {kind} {outcome}')
            print(self.faults[-1], flush=True)


def fuzz(reader: type[Reader], inputs: int, first: int = 0, seed: int = 0) -> Result:
    """Try the inputs ``first`` to ``first + inputs - 1``."""
    result = Result()
    context = multiprocessing.get_context('fork')
    with tempfile.TemporaryDirectory() as name:
        made = reader(Path(name))
        number, last = first, first + inputs
        while number < last:
            here, there = context.Pipe()
            child = context.Process(
                target=_work, args=(made, range(number, last), seed, Path(name), there)
            )
            child.start()
            there.close()
            number = _listen(here, number, last, result)
            child.kill()
            child.join()
    return result


def _listen(pipe: Connection, number: int, last: int, result: Result) -> int:
    """Count what a child says until it is through, or hangs or crashes; the next number."""
    while number < last:
        try:
            answer = pipe.recv() if pipe.poll(10 * SECONDS) else 'hang'
        except EOFError:
            answer = 'crash'
        if isinstance(answer, str):
            result.count(number, '', answer)
            return number + 1
        kind, outcome, peak = answer
        result.count(number, kind, outcome)
        result.peak = max(result.peak, peak)
        number += 1
        if result.inputs % 500 == 0:
            told = f'{result.inputs} inputs: {result.used} used, {result.refused} refused'
            print(told, flush=True)
    return number


def _work(reader: Reader, numbers: range, seed: int, folder: Path, pipe: Connection) -> None:
    """Try a range of inputs, and send what became of each."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    limit_memory(reader.megabytes)
    gc.freeze()  # data sets collect garbage, which goes through all of torch otherwise
    signal.signal(signal.SIGPROF, _too_long)
    os.environ['XDG_CACHE_HOME'] = str(folder / OUT / 'cache')
    (folder / WORKING).mkdir(parents=True, exist_ok=True)
    os.chdir(folder / WORKING)
    for number in numbers:
        reader.make(random.Random(f'{seed}-{number}'))
        before = snapshot(folder)
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        outcome = _outcome(reader)
        signal.setitimer(signal.ITIMER_PROF, 0)
        after = snapshot(folder)
        if before != after:
            outcome = f'files outside the output: {sorted(dict(before.items() ^ after.items()))}'
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        pipe.send((getattr(reader, 'kind', ''), outcome, peak))


def _too_long(*_: object) -> None:
    raise TimeoutError(f'more than {SECONDS} s of processor time')


def _outcome(reader: Reader) -> str:
    try:
        reader.read()
    except UserError as error:
        length = len(str(error))
        return 'refused' if length <= LONGEST else f'refused with {length} characters'
    except BaseException as error:
        frames = traceback.extract_tb(error.__traceback__)[-3:]
        places = ' < '.join(f'{Path(f.filename).name}:{f.lineno}' for f in reversed(frames))
        return f'{type(error).__name__}: {str(error)[-TOLD:]} ({places})'
    return 'used'


def snapshot(folder: Path) -> dict[str, tuple[int, int]]:
    """Size and time of every file below ``folder``, without those of the output."""
    found = {}
    for parent, folders, names in os.walk(folder):
        if parent == str(folder) and OUT in folders:
            folders.remove(OUT)
        for name in names:
            path = os.path.join(parent, name)
            info = os.lstat(path)
            found[path] = (info.st_size, info.st_mtime_ns)
    return found


def limit_memory(megabytes: int) -> None:
    """Allow this process so much more address space than it has now."""
    pages = int(Path('/proc/self/statm').read_text().split()[0])
    limit = pages * resource.getpagesize() + megabytes * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


@contextlib.contextmanager
def quiet() -> Iterator[Path]:
    """Send what is printed, by libraries too, to a file for the time."""
    with tempfile.TemporaryFile() as log:
        saved = [os.dup(number) for number in (1, 2)]
        try:
            for number in (1, 2):
                os.dup2(log.fileno(), number)
            yield Path(f'/proc/self/fd/{log.fileno()}')
        finally:
            for number, old in zip((1, 2), saved, strict=True):
                os.dup2(old, number)
                os.close(old)
