"""Detection in pictures and videos (what ``lighthead infer`` does).

Drawings go to ``<out-dir>/vis`` under the names of the inputs, and everything
that was found to one file in COCO's form, ``<out-dir>/predictions.json``.
"""

import json
import os
import sys
from argparse import Namespace
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from lighthead.errors import EXIT_OK, EXIT_USER, UserError
from lighthead.files import write_text_file
from lighthead.inference.detector import Detector
from lighthead.inference.drawing import draw_detections
from lighthead.inference.images import read_image
from lighthead.inference.inputs import expand_inputs, is_video
from lighthead.inference.predictions import Predictions
from lighthead.inference.results import Detections
from lighthead.inference.video import CODECS, VideoReader, VideoWriter

WRITABLE = ('.jpg', '.jpeg', '.png', '.webp', '.bmp')
"""Drawings of other formats are written as .jpg."""


def infer(options: Namespace) -> int:
    """Detect in all inputs; unreadable inputs are reported and skipped.

    Returns:
        0, or 2 if an input was missing or unreadable.
    """
    paths, missing = expand_inputs(options.inputs)
    if (
        options.show
        and sys.platform == 'linux'
        and not (os.environ.get('DISPLAY') or os.environ.get('WAYLAND_DISPLAY'))
    ):
        raise UserError('--show needs a display: leave it out and look into the --out-dir.')
    detector = Detector(
        options.checkpoint,
        device=options.device,
        backend=options.backend,
        precision=options.precision,
        threads=options.threads,
        score_thr=options.pred_score_thr,
        batch_size=options.batch_size,
        trust=options.trust_checkpoint,
    )
    job = _Job(options, detector, Predictions(detector.classes, detector.category_ids))
    for argument in missing:
        job.fail(f'{argument}: no such file, or a folder or glob without images.')
    job.make_folders()
    job.run(paths)
    job.finish()
    return EXIT_USER if job.failures else EXIT_OK


@dataclass
class _Job:
    """One run over all inputs."""

    options: Namespace
    detector: Detector
    predictions: Predictions
    failures: int = 0
    names: set[str] = field(default_factory=set)
    inputs: set[Path] = field(default_factory=set)
    console: Console = field(default_factory=lambda: Console(stderr=True))

    @property
    def vis_dir(self) -> Path:
        return Path(self.options.out_dir) / 'vis'

    def make_folders(self) -> None:
        folder = Path(self.options.out_dir) if self.options.no_save_vis else self.vis_dir
        if self.options.no_save_vis and self.options.no_save_pred:
            return
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f'--out-dir {folder} cannot be made ({error.strerror}).') from error
        if not os.access(folder, os.W_OK):
            raise UserError(f'--out-dir {folder} is not writable: choose another one.')

    def fail(self, message: str) -> None:
        """Report an input that could not be used."""
        self.failures += 1
        self.console.print(f'error: {message}', markup=False, highlight=False, soft_wrap=True)

    def run(self, paths: list[Path]) -> None:
        self.inputs = {path.resolve() for path in paths}
        columns = (
            TextColumn('{task.description}'),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=self.console, transient=True) as progress:
            task = progress.add_task('detecting', total=len(paths))
            waiting: list[tuple[Path, np.ndarray]] = []
            for path in paths:
                if is_video(path):
                    self._flush(waiting)
                    self._video(path, progress)
                else:
                    try:
                        waiting.append((path, read_image(path)))
                    except UserError as error:
                        self.fail(str(error))
                    if len(waiting) >= self._read_ahead():
                        self._flush(waiting)
                progress.advance(task)
            self._flush(waiting)

    def _read_ahead(self) -> int:
        """Images held at once: several batches, to find some of the same size."""
        return 1 if self.options.batch_size == 1 else 4 * self.options.batch_size

    def _flush(self, waiting: list[tuple[Path, np.ndarray]]) -> None:
        found = self.detector([image for _, image in waiting])
        for (path, image), detections in zip(waiting, found, strict=True):
            self._tell(str(path), detections)
            drawing = self._draw(image, detections)
            name = None
            if not self.options.no_save_vis:
                name = self._free_name(path, WRITABLE, '.jpg')
                _write_image(self.vis_dir / name, drawing)
            self.predictions.add(path, detections, drawing=name)
            if self.options.show:
                self._show(str(path), drawing, wait=0)
        waiting.clear()

    def _video(self, path: Path, progress: Progress) -> None:
        try:
            reader = VideoReader(path)
        except UserError as error:
            self.fail(str(error))
            return
        task = progress.add_task(path.name, total=reader.count or None)
        with reader:
            if self.options.no_save_vis:
                self._frames(path, reader, None, progress, task)
            else:
                name = self._free_name(path, tuple(CODECS), '.mp4')
                with VideoWriter(self.vis_dir / name, reader.fps, reader.size) as writer:
                    self._frames(path, reader, writer, progress, task)
        progress.remove_task(task)

    def _frames(
        self,
        path: Path,
        reader: VideoReader,
        writer: VideoWriter | None,
        progress: Progress,
        task: object,
    ) -> None:
        number = 0
        for frames in reader.batches(self.options.batch_size):
            for frame, detections in zip(frames, self.detector(frames), strict=True):
                self._tell(f'{path} frame {number}', detections)
                drawing = self._draw(frame, detections)
                if writer is not None:
                    writer.write(drawing)
                name = writer.path.name if writer else None
                self.predictions.add(path, detections, drawing=name, frame=number, fps=reader.fps)
                if self.options.show:
                    self._show(str(path), drawing, wait=1)
                number += 1
            progress.advance(task, len(frames))
        if number < reader.count:
            self.console.print(
                f'note: {path}: {number} of the {reader.count} frames that its header announces '
                'could be read.',
                markup=False,
                highlight=False,
                soft_wrap=True,
            )

    def _draw(self, image: np.ndarray, detections: Detections) -> np.ndarray:
        if self.options.no_save_vis and not self.options.show:
            return image
        return draw_detections(image, detections)

    def _tell(self, name: str, detections: Detections) -> None:
        if self.options.print_result:
            print(f'{name}: {len(detections)} detections')
            if len(detections):
                print('\n'.join(f'  {line}' for line in str(detections).splitlines()))

    def _free_name(self, path: Path, suffixes: tuple[str, ...], other: str) -> str:
        """A name in the vis folder that no other input has taken and that is no input itself."""
        suffix = path.suffix if path.suffix.lower() in suffixes else other
        number = 1
        while True:
            name = path.stem + (f'_{number}' if number > 1 else '') + suffix
            taken = name.casefold() in self.names
            if not taken and (self.vis_dir / name).resolve() not in self.inputs:
                self.names.add(name.casefold())
                return name
            number += 1

    def _show(self, title: str, drawing: np.ndarray, wait: int) -> None:
        cv2.imshow(title, drawing)
        if cv2.waitKey(wait) in (27, ord('q')):
            self.options.show = False
            cv2.destroyAllWindows()

    def finish(self) -> None:
        """Write the JSON and say what was done."""
        predictions, options = self.predictions, self.options
        told = f'{len(predictions.annotations)} detections in {len(predictions.images)} images'
        if self.failures:
            told += f', {self.failures} inputs could not be read'
        if not options.no_save_pred:
            path = Path(options.out_dir) / 'predictions.json'
            try:
                write_text_file(json.dumps(predictions.to_dict(), ensure_ascii=False), path)
            except OSError as error:
                raise UserError(f'{path} cannot be written ({error.strerror}).') from error
            told += f'; {path}'
        if not options.no_save_vis:
            told += f'; drawings in {self.vis_dir}'
        print(told)


def _write_image(path: Path, image: np.ndarray) -> None:
    ok, data = cv2.imencode(path.suffix.lower(), image)
    if not ok:
        raise UserError(f'{path}: OpenCV cannot encode this drawing.')
    try:
        path.write_bytes(data.tobytes())
    except OSError as error:
        raise UserError(f'{path} cannot be written ({error.strerror}).') from error
