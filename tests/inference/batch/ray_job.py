"""A job on a local Ray of two actors and a small object store, without a network.

``python ray_job.py INPUT OUT MODEL [--die FILE] [--seconds S] [--plain]``; with ``--die`` the first
actor that comes to its third batch kills itself, once: FILE says that it was done. ``--plain`` does
the same job in this process.
"""

import argparse
import os
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import fake_detector
import ray

from lighthead.inference import detector as detector_module
from lighthead.inference.batch import chunks, ray_executor
from lighthead.inference.batch.options import BatchOptions
from lighthead.inference.batch.run import batch
from lighthead.inference.preprocess import Preprocess
from lighthead.inference.runtimes.backend import OpenedModel

STORE = 80 * 2**20
"""Bytes; the images of a job are more."""
SCALE = (640, 512)


def use_detector(die: str, seconds: float) -> None:
    """In every process: images of 983 KB for the network, and an end at the third batch."""
    backend = fake_detector.FakeBackend()
    backend.seconds = seconds
    opened = OpenedModel(
        backend,
        Preprocess(SCALE, keep_ratio=False),
        fake_detector.CLASSES,
        fake_detector.CATEGORY_IDS,
        0.5,
    )
    detector_module.open_model = lambda *_: opened
    if die:
        backend.before_batch = lambda: backend.images >= 2 and end_once(Path(die))


def end_once(flag: Path) -> None:
    """Kill this process, unless one was killed before."""
    try:
        flag.touch(exist_ok=False)
    except FileExistsError:
        return
    os.kill(os.getpid(), signal.SIGKILL)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument('input')
    parser.add_argument('out')
    parser.add_argument('model')
    parser.add_argument('--die', default='')
    parser.add_argument('--seconds', type=float, default=0.0)
    parser.add_argument('--plain', action='store_true')
    args = parser.parse_args()
    options = BatchOptions(args.input, args.out, args.model, shard_size=40)
    use_detector('', args.seconds)
    if not args.plain:
        hook = f'{__name__ if __name__ != "__main__" else Path(__file__).stem}.setup'
        notes = Path(f'{args.out}_notes')
        notes.mkdir(exist_ok=True)
        environment = dict(DIE=args.die, SECONDS=str(args.seconds), NOTES=str(notes))
        runtime = dict(worker_process_setup_hook=hook, env_vars=environment)
        ray.init(num_cpus=4, object_store_memory=STORE, runtime_env=runtime, log_to_driver=False)
        ray_executor.BLOCK = 8 * 2**20
        options.executor, options.actors = 'ray', 2
    return batch(options)


def setup() -> None:
    """Called by Ray in each of its workers; notes which processes load and which detect."""
    use_detector(os.environ['DIE'], float(os.environ['SECONDS']))
    for name in ('prepare_row', 'detect_in_chunk'):
        module = chunks if name == 'prepare_row' else ray_executor
        setattr(module, name, partial(noting, getattr(module, name), name))


def noting(function: Callable, name: str, *args: object, **kwargs: object) -> object:
    """Call it, and leave a file of its name and this process's number."""
    Path(os.environ['NOTES'], f'{name}.{os.getpid()}').touch()
    return function(*args, **kwargs)


if __name__ == '__main__':
    sys.exit(main())
