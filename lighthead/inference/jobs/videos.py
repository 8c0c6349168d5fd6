"""Videos, cameras and streams of a run: decoding, the network, and drawing overlap."""

import time
from collections.abc import Generator, Iterator
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path

import numpy as np
from rich.progress import TaskID

from lighthead.inference.detector import ImageResult, unwrap
from lighthead.inference.drawing import draw_detections
from lighthead.inference.images import ImageError
from lighthead.inference.inputs import is_stream
from lighthead.inference.jobs.context import Run, record_name
from lighthead.inference.read_ahead import newest, ordered_map, prefetch
from lighthead.inference.tracking import Tracker
from lighthead.inference.video import VideoReader, VideoWriter

AHEAD = 4
"""Frames that are decoded ahead, and drawings that wait to be encoded, besides those of a batch."""


def run_video(run: Run, path: Path | str, name: str) -> None:
    """Detect in all frames, or until a stop is requested; the drawn video has the frames so far."""
    try:
        reader = VideoReader(path)
    except ImageError as error:
        run.fail(path, str(error))
        return
    bar = run.progress.add(record_name(path), reader.count or None)
    with ExitStack() as stack:
        stack.enter_context(reader)
        writer = None
        if run.output.vis_dir is not None:
            target = run.output.vis_dir / name
            writer = stack.enter_context(VideoWriter(target, reader.fps, reader.size))
        count, dropped = _run_frames(run, reader, writer, bar)
    run.progress.remove(bar)
    if run.stop and not is_stream(path):
        return  # a resumed run does the whole video again
    _record_end(run, reader, name if writer else None, count, dropped)


def _run_frames(
    run: Run, reader: VideoReader, writer: VideoWriter | None, bar: TaskID
) -> tuple[int, int]:
    """How many frames were processed, and how many were dropped for want of time."""
    live, batch_size, dropped = run.options.live, run.options.batch_size, [0]
    if batch_size is None and (live or is_stream(reader.path)):
        batch_size = 1  # a result is wanted as soon as its frame is there
    ahead = AHEAD + (batch_size or run.detector.batch_size)
    frames = newest(reader.frames(), dropped) if live else prefetch(reader.frames(), ahead)
    results = run.stream(frames, 0 if live else 1, batch_size)
    tracked = _tracked(run, results, reader.fps)
    drawn = ordered_map(
        partial(_draw, run, writer), tracked, 1 if run.draws else 0, 0 if live else ahead
    )
    started, number = time.monotonic(), 0
    with closing(frames), closing(results), closing(tracked), closing(drawn):
        for result, drawing in drawn:
            seconds = time.monotonic() - started if live else number / reader.fps
            run.record(
                reader.path,
                unwrap(result),
                frame=number,
                time=round(seconds, 3),
                drawing=writer.path.name if writer else None,
            )
            if drawing is not None:
                run.show(str(reader.path), drawing, wait=1)
            number += 1
            run.progress.advance(bar)
            if run.stop:
                break
    return number, dropped[0]


def _tracked(
    run: Run, results: Iterator[ImageResult], fps: float
) -> Generator[ImageResult, None, None]:
    """With ``--track``, the same with the objects' numbers."""
    tracker = Tracker(fps, run.options.pred_score_thr) if run.options.track else None
    for result in results:
        if tracker is None:
            yield result
        else:
            yield result._replace(detections=tracker.update(unwrap(result)))


def _draw(
    run: Run, writer: VideoWriter | None, result: ImageResult
) -> tuple[ImageResult, np.ndarray | None]:
    drawing = None
    if result.image is not None and run.draws:
        drawing = draw_detections(result.image, unwrap(result))
    if writer is not None and drawing is not None:
        writer.write(drawing)
    return result._replace(image=None), drawing if run.options.show else None


def _record_end(
    run: Run, reader: VideoReader, drawing: str | None, count: int, dropped: int
) -> None:
    name = record_name(reader.path)
    end = dict(path=name, frames=count, failed_frames=reader.failed)
    end |= dict(dropped_frames=dropped) if run.options.live else {}
    if run.output.journal is not None:
        run.output.journal.append(end | (dict(drawing=drawing) if drawing else {}))
    missing = reader.count - count - dropped
    if missing > 0 and not run.stop:
        run.progress.note(
            f'{name}: {count} of the {reader.count} frames that its header announces could be read.'
        )
    elif reader.failed:
        run.progress.note(f'{name}: {reader.failed} frames could not be decoded.')
