"""Images of a run: decoding, the network, and drawing and writing overlap."""

from collections.abc import Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

import numpy as np

from lighthead.inference.detector import ImageResult
from lighthead.inference.drawing import draw_detections
from lighthead.inference.images import write_image
from lighthead.inference.jobs.context import Run
from lighthead.inference.read_ahead import default_workers, ordered_map

WAITING = 2
"""Drawings per thread that wait to be written besides those of a batch: images are held in memory
until then."""


def run_images(run: Run, inputs: Sequence[tuple[Path, str]]) -> None:
    """Detect in images and draw them under the names given; in order, until a stop is requested."""
    workers = run.options.workers
    writers = (default_workers() if workers is None else workers) if run.draws else 0
    results = run.stream((path for path, _ in inputs), workers)
    ahead = WAITING * writers + run.detector.images_per_call - 1
    drawn = ordered_map(partial(_draw, run), zip(results, inputs, strict=True), writers, ahead)
    bar = run.progress.add('detecting', len(inputs))
    with closing(results), closing(drawn):
        for result, path, name, drawing in drawn:
            if result.detections is None:
                run.fail(path, str(result.error))
            else:
                run.record(path, result.detections, drawing=name)
                if run.output.vis_dir is not None and name is None:
                    run.progress.note(f'{path} was read by windows: it has no drawing.')
            if run.options.show and drawing is not None:
                run.show(str(path), drawing, wait=0)
            run.progress.advance(bar)
            if run.stop:
                break
    run.progress.remove(bar)


def _draw(
    run: Run, task: tuple[ImageResult, tuple[Path, str]]
) -> tuple[ImageResult, Path, str | None, np.ndarray | None]:
    """Draw and write, and say under which name; the pixels are passed on only to be shown."""
    result, (path, name) = task
    drawing = written = None
    if result.image is not None and result.detections is not None and run.draws:
        drawing = draw_detections(result.image, result.detections)
        if run.output.vis_dir is not None:
            write_image(run.output.vis_dir / name, drawing, sync=False)
            written = name
    kept = drawing if run.options.show else None
    return result._replace(image=None), path, written, kept
