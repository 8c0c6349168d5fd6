"""The detector from one file alone: ``Detector(path)(image)``.

Neither torch nor mmdet is imported here, so that an exported file runs without them.
"""

import difflib
import os
from collections.abc import Generator, Iterable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, overload

import numpy as np

from lighthead.errors import UserError
from lighthead.inference.images import ImageError, ImageLike, read_image
from lighthead.inference.open_model import local_file, open_model
from lighthead.inference.read_ahead import default_workers, ordered_map, windows
from lighthead.inference.results import Detections
from lighthead.inference.runtimes.backend import RawDetections, check_threads

WINDOW = 8
"""Of many images, this many batches are read ahead to find images of the same padded size."""


class ImageResult(NamedTuple):
    """What became of one image: its pixels (uint8 BGR) and detections, or an error."""

    source: ImageLike
    image: np.ndarray | None
    detections: Detections | None
    error: ImageError | None = None


class _Wanted(NamedTuple):
    """Which detections a call wants."""

    score_thr: float
    classes: Sequence[str] | None
    class_agnostic: bool


class _Loaded(NamedTuple):
    """A decoded image, and the same resized for the network."""

    source: ImageLike
    image: np.ndarray
    resized: np.ndarray


class Detector:
    """Finds objects in images. Threads may share one.

    >>> detector = Detector('work_dirs/demo/best.pth')
    >>> detections = detector('photo.jpg')
    >>> detections.boxes, detections.scores, detections.names

    Args:
        path: A model's name (``'lighthead-people'``, or another form that
            :func:`lighthead.zoo.locate_model` knows), a checkpoint of lighthead, or a file that
            lighthead export wrote (.onnx, .xml, .pt2); class names and preprocessing travel in it.
        device: ``'cpu'``, ``'cuda'``, ``'cuda:1'``...; None takes a GPU where there is one.
        backend: ``'torch'``, ``'onnxruntime'`` or ``'openvino'``; None chooses by the file.
        precision: ``'fp32'`` (exact), ``'tf32'`` (float32 with rounded products, on GPUs),
            ``'bf16'`` or ``'fp16'``, as device and backend allow; None is fp32, or what an
            exported file was quantised to.
        score_thr: Detections with a lower score are left out. The attribute of this name can
            be changed at any time, and a call can have its own. The file has a threshold of
            its own, below which nothing comes.
        batch_size: How many images of a list go through the network at once.
            Only images of the same padded size share a batch, so that no result
            depends on the others in the list.
        threads: CPU threads; None leaves them as they are (torch) or takes all cores.
        trust: Whether to load a checkpoint that is a pickle with code inside, or a .pt2.

    Raises:
        UserError: the file, or another argument, cannot be used.
    """

    def __init__(
        self,
        path: str | os.PathLike,
        device: Any = None,
        backend: str | None = None,
        precision: str | None = None,
        score_thr: float = 0.3,
        batch_size: int = 1,
        *,
        threads: int | None = None,
        trust: bool = False,
    ) -> None:
        self.score_thr = _checked_threshold(score_thr)
        if batch_size < 1:
            raise UserError(f'batch_size={batch_size} is less than 1.')
        self.batch_size = batch_size
        check_threads(threads)
        self.path = local_file(path)
        opened = open_model(self.path, device, backend, precision, threads, trust)
        self.backend, self.preprocess, self.classes, self.category_ids, self.iou_thr = opened
        self.device = self.backend.device

    @overload
    def __call__(  # type: ignore[overload-overlap]  # a str is a path, not a list of images
        self,
        images: ImageLike,
        *,
        score_thr: float | None = None,
        classes: str | Sequence[str] | None = None,
        class_agnostic: bool = False,
    ) -> Detections: ...

    @overload
    def __call__(
        self,
        images: Sequence[ImageLike],
        *,
        score_thr: float | None = None,
        classes: str | Sequence[str] | None = None,
        class_agnostic: bool = False,
    ) -> list[Detections]: ...

    def __call__(
        self,
        images: Any,
        *,
        score_thr: float | None = None,
        classes: str | Sequence[str] | None = None,
        class_agnostic: bool = False,
    ) -> Detections | list[Detections]:
        """Detect in one image, or in a list of images.

        Args:
            images: What :func:`lighthead.inference.images.read_image` reads
                (numpy arrays are BGR, tensors RGB), or a list or tuple of it.
            score_thr: For this call, instead of the detector's.
            classes: Names of the classes that are wanted; None: all.
            class_agnostic: Whether boxes of different classes that overlap suppress each
                other too; the detections of each class are suppressed first, as always.

        Returns:
            The image's detections; for a list, a list in the same order.

        Raises:
            ImageError: an image cannot be read.
            UserError: the threshold is not in 0..1, or there is no such class.
        """
        wanted = self._wanted(score_thr, classes, class_agnostic)
        if not isinstance(images, list | tuple):
            return unwrap(self._detect([self._load(images)], wanted)[0])
        workers = default_workers() if len(images) > 1 else 0
        return [unwrap(result) for result in self._stream(images, wanted, workers)]

    def stream(
        self,
        sources: Iterable[ImageLike],
        *,
        score_thr: float | None = None,
        classes: str | Sequence[str] | None = None,
        class_agnostic: bool = False,
        workers: int | None = None,
    ) -> Generator[ImageResult, None, None]:
        """Detect in any number of images, in bounded memory, in their order.

        Images are read ahead in threads while the network runs. One that cannot be read
        comes with its ``error``, and the rest goes on.

        Args:
            sources: Images as of :meth:`__call__`, taken when there is room.
            score_thr, classes, class_agnostic: As of :meth:`__call__`.
            workers: Threads that read; None: half of the cores. 0 reads in this thread.
        """
        wanted = self._wanted(score_thr, classes, class_agnostic)
        return self._stream(sources, wanted, default_workers() if workers is None else workers)

    def _stream(
        self, sources: Iterable[ImageLike], wanted: _Wanted, workers: int
    ) -> Generator[ImageResult, None, None]:
        window = self.batch_size * WINDOW if self.batch_size > 1 else 1
        for loaded in windows(ordered_map(self._load, sources, workers, window + workers), window):
            yield from self._detect(loaded, wanted)

    def _load(self, source: ImageLike) -> _Loaded | ImageResult:
        try:
            image = read_image(source)
        except ImageError as error:
            return ImageResult(source, None, None, error)
        return _Loaded(source, image, self.preprocess.resize(image))

    def _detect(
        self, loaded: Sequence[_Loaded | ImageResult], wanted: _Wanted
    ) -> list[ImageResult]:
        results: dict[int, ImageResult] = {}
        groups: dict[tuple[int, int], list[tuple[int, _Loaded]]] = {}
        for index, one in enumerate(loaded):
            if isinstance(one, ImageResult):  # it could not be read
                results[index] = one
            else:
                size = self.preprocess.padded_size(one.image.shape[:2])
                groups.setdefault(size, []).append((index, one))
        for group in groups.values():
            for batch in windows(group, self.batch_size):
                outputs = self._run([one.resized for _, one in batch])
                for (index, one), raw in zip(batch, outputs, strict=True):
                    detections = self._finish(one, raw, wanted)
                    results[index] = ImageResult(one.source, one.image, detections)
        return [results[index] for index in range(len(loaded))]

    def _run(self, resized: Sequence[np.ndarray]) -> list[RawDetections]:
        batch = self.backend.make_batch(self.preprocess, resized)
        return self.backend(batch, [image.shape[:2] for image in resized])

    def _finish(self, one: _Loaded, raw: RawDetections, wanted: _Wanted) -> Detections:
        size = one.image.shape[:2]
        boxes = self.preprocess.restore(raw.boxes, size)
        detections = Detections.from_arrays(
            boxes, raw.scores, raw.labels, self.classes, size, one.source
        )
        if wanted.classes is not None:
            detections = detections.filter(names=wanted.classes)
            best = float(detections.scores[0]) if len(detections) else None
            detections = replace(detections, best_score=best)
        detections = detections.filter(wanted.score_thr)
        return detections.suppress(self.iou_thr) if wanted.class_agnostic else detections

    def _wanted(
        self,
        score_thr: float | None,
        classes: str | Sequence[str] | None,
        class_agnostic: bool,
    ) -> _Wanted:
        threshold = _checked_threshold(self.score_thr if score_thr is None else score_thr)
        if classes is not None:
            classes = [classes] if isinstance(classes, str) else list(classes)
            for name in classes:
                if name not in self.classes:
                    near = difflib.get_close_matches(str(name), self.classes) or self.classes[:5]
                    raise UserError(
                        f'The detector knows no class {name!r}; there are, for example, '
                        f'{", ".join(near)}.'
                    )
        return _Wanted(threshold, classes, class_agnostic)


def unwrap(result: ImageResult) -> Detections:
    """The image's detections; raises the ImageError of one that could not be read."""
    if result.error is not None:
        raise result.error
    assert result.detections is not None  # there is one of the two
    return result.detections


def _checked_threshold(score_thr: float) -> float:
    if not 0 <= score_thr <= 1:
        raise UserError(f'score_thr={score_thr} is not in 0..1.')
    return score_thr
