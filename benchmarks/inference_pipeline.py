"""How well ``lighthead infer`` overlaps: each stage alone, one after the other, and together.

Stages: reading (decode, resize), the network (normalise, detect), drawing (draw, encode, write).
``before`` runs them one after the other (``--workers 0``), ``after`` is the pipeline; both are
whole runs over the same files, without start-up, and in each round the network alone computes as
many images. The photographs are linked until there are ``--images`` of them.

    python benchmarks/inference_pipeline.py CHECKPOINT FOLDER --images 2000 --rounds 3
    python benchmarks/inference_pipeline.py CHECKPOINT FOLDER --files model.onnx model.xml

Memory, on small generated images: the process's resident size at 1,000 and at the last image.

    python benchmarks/inference_pipeline.py CHECKPOINT --memory 100000
"""

import argparse
import contextlib
import io
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import cycle, islice
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import cv2
import numpy as np
import psutil
from rich.console import Console
from rich.table import Table

from lighthead import Detector
from lighthead.inference.drawing import draw_detections
from lighthead.inference.images import read_image, write_image
from lighthead.inference.inputs import IMAGE_SUFFIXES
from lighthead.inference.jobs.options import InferOptions
from lighthead.inference.jobs.run import infer
from lighthead.inference.results import Detections

STAGE_IMAGES = 60
"""Images on which single stages are timed."""
SMALL = (96, 128)
"""Height and width of the generated images."""


class Stages(NamedTuple):
    """Milliseconds per image of each stage alone."""

    read: float
    network: float
    draw: float


class Round(NamedTuple):
    """Milliseconds per image: the network alone, without and with the pipeline."""

    network: float
    before: float
    after: float


def link_images(sources: Sequence[Path], folder: Path, count: int) -> list[Path]:
    """``count`` names for the same few files."""
    folder.mkdir()
    paths = []
    for index, source in enumerate(islice(cycle(sources), count)):
        paths.append(folder / f'{index:07d}{source.suffix.lower()}')
        try:
            os.link(source, paths[-1])
        except OSError:  # another file system
            os.symlink(source.resolve(), paths[-1])
    return paths


def time_stages(detector: Detector, paths: Sequence[Path], folder: Path) -> Stages:
    """Medians over some images, one stage after the other, in one thread."""
    seconds: dict[str, list[float]] = {'read': [], 'network': [], 'draw': []}
    for path in paths[:STAGE_IMAGES]:
        started = time.perf_counter()
        image = read_image(path)
        resized = detector.preprocess.resize(image)
        decoded = time.perf_counter()
        batch = detector.backend.make_batch(detector.preprocess, [resized])
        detector.backend(batch, [resized.shape[:2]])
        detected = time.perf_counter()
        detections = detector(image)
        begun = time.perf_counter()
        write_image(folder / path.name, draw_detections(image, detections), sync=False)
        seconds['draw'].append(time.perf_counter() - begun)
        seconds['read'].append(decoded - started)
        seconds['network'].append(detected - decoded)
    return Stages(*(1e3 * statistics.median(values) for values in seconds.values()))


def run_speed(
    args: argparse.Namespace, model: str, paths: list[Path], draw: bool, workers: int | None
) -> float:
    """Images per second of one run, without loading the model."""
    with tempfile.TemporaryDirectory() as out, contextlib.redirect_stdout(io.StringIO()) as said:
        options = InferOptions(
            model,
            [str(path) for path in paths],
            out,
            device=args.device,
            threads=args.threads,
            batch_size=args.batch_size,
            workers=workers,
            no_save_vis=not draw,
        )
        assert infer(options) == 0, said.getvalue()
    return float(said.getvalue().split('images (')[1].split(' images/s')[0])


def time_network(detector: Detector, images: Sequence[np.ndarray], count: int) -> float:
    """Milliseconds per image of the network alone, from resized images to boxes."""
    started = time.perf_counter()
    for image in islice(cycle(images), count):
        detector.backend(
            detector.backend.make_batch(detector.preprocess, [image]), [image.shape[:2]]
        )
    return 1e3 * (time.perf_counter() - started) / count


def alternate(
    args: argparse.Namespace, detector: Detector, model: str, paths: list[Path], draw: bool
) -> list[Round]:
    """The network alone, before and after, in turn."""
    resized = [detector.preprocess.resize(read_image(path)) for path in paths[:STAGE_IMAGES]]
    return [
        Round(
            time_network(detector, resized, args.images),
            1e3 / run_speed(args, model, paths, draw, workers=0),
            1e3 / run_speed(args, model, paths, draw, workers=args.workers),
        )
        for _ in range(args.rounds)
    ]


def cells(stages: Stages, rounds: list[Round], draw: bool) -> list[str]:
    """Stages alone, images per second, and medians of the rounds' ratios."""
    network, before, after = (statistics.median(values) for values in zip(*rounds))
    slowest = [max(one.network, stages.draw if draw else 0) for one in rounds]
    ratios = [one.after / slow for one, slow in zip(rounds, slowest)]
    return [
        *(f'{value:.1f}' for value in (stages.read, network, stages.draw)),
        *(f'{1e3 / value:.1f}' for value in (before, after)),
        f'{statistics.median(one.before / one.after for one in rounds):.2f}',
        f'{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})',
    ]


def measure_overlap(args: argparse.Namespace) -> None:
    """Print the table of all models, with and without drawing."""
    sources = [p for p in sorted(Path(args.folder).iterdir()) if p.suffix.lower() in IMAGE_SUFFIXES]
    columns = ('read ms', 'network ms', 'draw ms', 'images/s before', 'after', 'x', 'x slowest')
    table = Table(title=f'{args.images} images, batch {args.batch_size}, {os.cpu_count()} cores')
    for name in ('model', 'drawing', *columns):
        table.add_column(name, justify='right')
    with tempfile.TemporaryDirectory() as name:
        paths = link_images(sources, Path(name) / 'in', args.images)
        for model in [args.checkpoint, *args.files]:
            detector = Detector(model, args.device, threads=args.threads)
            detector(paths[0])
            stages = time_stages(detector, paths, Path(name))
            for draw in (False, True):
                rounds = alternate(args, detector, model, paths, draw)
                title = (Path(model).suffix.lstrip('.'), 'yes' if draw else 'no')
                table.add_row(*title, *cells(stages, rounds, draw))
    Console(width=None if os.isatty(1) else 140).print(table)
    print(f'Medians of {args.rounds} rounds. x: after / before. x slowest: time per image of the')
    print('pipeline / of its slowest stage alone in the same round.')


def watch_memory(count: int, report: Callable[[int, float], None]) -> Callable[[], None]:
    """A function to call per image, which reports the resident MiB now and then."""
    process, seen = psutil.Process(), iter(range(1, count + 1))
    step = max(1000, count // 20)

    def note() -> None:
        number = next(seen)
        if number == 1000 or number % step == 0 or number == count:
            report(number, process.memory_info().rss / 2**20)

    return note


def small_images(folder: Path) -> Iterator[Path]:
    """Different small images, to be linked."""
    rng = np.random.default_rng(0)
    folder.mkdir()
    for index in range(50):
        noise = rng.integers(0, 256, (12, 16, 3), dtype=np.uint8)
        path = folder / f'{index}.jpg'
        cv2.imwrite(str(path), cv2.resize(noise, SMALL[::-1]))
        yield path


def measure_memory(args: argparse.Namespace) -> None:
    """Run over many small images and print the resident size."""
    sizes: list[tuple[int, float]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        link_images(list(small_images(folder / 'sources')), folder / 'in', args.memory)

        def report(number: int, resident: float) -> None:
            sizes.append((number, resident))
            print(number, resident)

        note, plain = watch_memory(args.memory, report), Detector._finish

        def finish(*given: Any) -> Detections:
            note()
            return plain(*given)

        options = InferOptions(args.checkpoint, [str(folder / 'in')], str(folder / 'out'))
        options.threads, options.batch_size = args.threads, args.batch_size
        options.device, options.no_save_vis = args.device, not args.draw
        with mock.patch.object(Detector, '_finish', finish):
            assert infer(options) == 0
    early = next(size for number, size in sizes if number >= 1000)
    last = sizes[-1][1]
    print(f'{early:.0f} MiB at image 1000, {last:.0f} MiB at {args.memory}: x {last / early:.3f}')


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('checkpoint', help='of lighthead train, or an exported file')
    parser.add_argument('folder', nargs='?', help='photographs')
    parser.add_argument('--files', nargs='*', default=[], help='exported files to run as well')
    parser.add_argument('--images', type=int, default=2000)
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--batch-size', type=int, default=1)
    parser.add_argument('--workers', type=int, help='threads that read, threads that draw')
    parser.add_argument('--threads', type=int, default=2, help='of the network')
    parser.add_argument('--device', default='cpu')
    parser.add_argument('--memory', type=int, metavar='N', help='images of the memory test')
    parser.add_argument('--draw', action='store_true', help='draw in the memory test')
    args = parser.parse_args()
    if args.memory:
        measure_memory(args)
    elif args.folder:
        measure_overlap(args)
    else:
        parser.error('give a folder of photographs, or --memory N')


if __name__ == '__main__':
    main()
