"""What the parts of a run share."""

import os
import sys
from collections.abc import Generator, Iterable
from pathlib import Path

import cv2
import numpy as np

from lighthead.errors import UserError
from lighthead.files import printable
from lighthead.inference.conversions import import_extra
from lighthead.inference.detector import ImageResult
from lighthead.inference.images import ImageLike
from lighthead.inference.inputs import is_stream
from lighthead.inference.jobs.formats import check_formats
from lighthead.inference.jobs.options import InferOptions
from lighthead.inference.jobs.output import OutputFolder
from lighthead.inference.jobs.progress import RunProgress
from lighthead.inference.jobs.stopping import StopRequest
from lighthead.inference.results import Detections


class Run:
    """What the parts of a run share: options, detector, output, progress, the wish to stop."""

    def __init__(self, options: InferOptions) -> None:
        self.options = options
        self.formats = check_formats(options.format)
        _check_options(options)
        self.detector = options.open_detector(options.checkpoint)
        self.output = OutputFolder(options, self.detector)
        self.progress = RunProgress()
        self.stop = StopRequest()

    def stream(
        self, sources: Iterable[ImageLike], workers: int | None, batch_size: int | None = None
    ) -> Generator[ImageResult, None, None]:
        """:meth:`Detector.stream` with the options of this run."""
        return self.detector.stream(
            sources,
            classes=self.options.classes,
            class_agnostic=self.options.class_agnostic,
            workers=workers,
            batch_size=batch_size,
        )

    def record(
        self,
        path: Path | str,
        detections: Detections,
        frame: int | None = None,
        **fields: object,
    ) -> None:
        """Write one image or frame to the journal."""
        self.progress.count(len(detections), detections.best_score)
        if self.options.print_result:
            _print_detections(path, detections, frame)
        if self.output.journal is not None:
            fields = dict(frame=frame, **fields)
            given = {key: value for key, value in fields.items() if value is not None}
            self.output.journal.append(
                dict(path=record_name(path), **detections.to_dict(), **given)
            )

    def fail(self, path: Path | str, message: str) -> None:
        """Report an input that could not be used."""
        self.progress.error(message)
        if self.output.errors is not None:
            self.output.errors.append(record_name(path), message)

    @property
    def draws(self) -> bool:
        """Whether drawings are wanted, to be written or to be shown."""
        return self.options.show or self.output.vis_dir is not None

    def show(self, title: str, drawing: np.ndarray, wait: int) -> None:
        """Show a drawing; q or Esc ends showing."""
        cv2.imshow(title, drawing)
        if cv2.waitKey(wait) in (27, ord('q')):
            self.options.show = False
            cv2.destroyAllWindows()


def _check_options(options: InferOptions) -> None:
    on_linux = sys.platform == 'linux'
    if options.show and on_linux and not {'DISPLAY', 'WAYLAND_DISPLAY'} & os.environ.keys():
        raise UserError('--show needs a display: leave it out and look into the --out-dir.')
    if options.resume and options.no_save_pred:
        raise UserError('--resume needs the predictions.jsonl that --no-save-pred leaves out.')
    if options.track:
        import_extra('trackers', 'track')


def _print_detections(path: Path | str, detections: Detections, frame: int | None) -> None:
    name = printable(path) + ('' if frame is None else f' frame {frame}')
    if not len(detections):
        print(f'{name}: {detections}')
        return
    print(f'{name}: {len(detections)} detections')
    print('\n'.join(f'  {line}' for line in str(detections).splitlines()))


def record_name(path: Path | str) -> str:
    """An input's name in the results."""
    return path if is_stream(path) else path.as_posix()
