"""The detector from one file alone: ``Detector(path)(image)``.

Neither torch nor mmdet is imported here, so that an exported file runs without them.
"""

import difflib
import os
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, overload

import numpy as np

from lighthead.errors import UserError
from lighthead.inference.images import ImageError, ImageLike
from lighthead.inference.loading import FailedImage, LoadedImage, load_image
from lighthead.inference.merging import detect_in_parts, merge
from lighthead.inference.open_model import local_file, open_model
from lighthead.inference.read_ahead import default_workers, ordered_map, windows
from lighthead.inference.results import Detections
from lighthead.inference.runtimes.backend import RawDetections, check_threads
from lighthead.inference.tiles import cut, make_tiling

WINDOW = 8
"""Of many images, this many batches are read ahead to find images of the same padded size."""


class ImageResult(NamedTuple):
    """What became of one image: its pixels (uint8 BGR; None for one that was read by windows)
    and detections, or an error."""

    source: ImageLike
    image: np.ndarray | None
    detections: Detections | None
    error: ImageError | None = None


class Wanted(NamedTuple):
    """Which detections a call wants."""

    score_thr: float
    classes: Sequence[str] | None
    class_agnostic: bool


class Detector:
    """Finds objects in images. Threads may share one.

    >>> detector = Detector('work_dirs/demo/best.pth')
    >>> detections = detector('photo.jpg')
    >>> detections.boxes, detections.scores, detections.names

    Args:
        path: A model's name (``'lighthead-people'``, or another form that
            :func:`lighthead.zoo.locate_model` knows), a checkpoint of lighthead, or a file that
            lighthead export wrote (.onnx, .xml, .ncnn.param, .pt2); class names and preprocessing
            travel in it.
        device: ``'cpu'``, ``'cuda'``, ``'cuda:1'``...; None takes a GPU where there is one.
        backend: ``'torch'``, ``'onnxruntime'``, ``'openvino'`` or ``'ncnn'``; None chooses by the
            file.
        precision: ``'fp32'`` (exact), ``'tf32'`` (float32 with rounded products, on GPUs),
            ``'bf16'`` or ``'fp16'``, as device and backend allow; None is fp32, or what an
            exported file was quantised to.
        score_thr: Detections with a lower score are left out. The attribute of this name can
            be changed at any time, and a call can have its own. The file has a threshold of
            its own, below which nothing comes.
        batch_size: How many images of a list go through the network at once.
            Only images of the same padded size share a batch, so that no result
            depends on the others in the list.
        tile: Images larger than this many pixels are cut into squares of this size besides, each
            of which is detected in like an image; what several see is put together (see
            :mod:`lighthead.inference.merging`). For small objects in large images. A TIFF file
            of more than 67 million pixels is then read by windows (extra ``large``).
        overlap: Share of a tile that its neighbour covers too, at least.
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
        tile: int | None = None,
        overlap: float = 0.2,
        threads: int | None = None,
        trust: bool = False,
    ) -> None:
        self.score_thr = _checked_threshold(score_thr)
        if batch_size < 1:
            raise UserError(f'batch_size={batch_size} is less than 1.')
        self.batch_size = batch_size
        self.tiling = make_tiling(tile, overlap)
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
        wanted = self.wanted(score_thr, classes, class_agnostic)
        if not isinstance(images, list | tuple):
            return unwrap(next(self.detect([self.load(images)], wanted)))
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
        wanted = self.wanted(score_thr, classes, class_agnostic)
        return self._stream(sources, wanted, default_workers() if workers is None else workers)

    def _stream(
        self, sources: Iterable[ImageLike], wanted: Wanted, workers: int
    ) -> Generator[ImageResult, None, None]:
        window = self.window
        for loaded in windows(ordered_map(self.load, sources, workers, window + workers), window):
            yield from self.detect(loaded, wanted)

    @property
    def window(self) -> int:
        """How many images are looked at together to find some of the same padded size."""
        alone = self.batch_size == 1 or self.tiling is not None
        return 1 if alone else self.batch_size * WINDOW

    def load(self, source: ImageLike) -> LoadedImage | FailedImage:
        """Read and resize an image for :meth:`detect`."""
        return load_image(source, self.preprocess, self.tiling)

    def detect(
        self, loaded: Sequence[LoadedImage | FailedImage], wanted: Wanted
    ) -> Iterator[ImageResult]:
        """Detect in images that were loaded, in their order.

        Args:
            loaded: By :meth:`load`, at most :attr:`window` of them for the results of
                :meth:`stream`.
            wanted: By :meth:`wanted`.
        """
        ready = [one for one in loaded if isinstance(one, LoadedImage)]
        raw = iter(self._run([one.resized for one in ready if one.resized is not None]))
        for one in loaded:
            if isinstance(one, FailedImage):
                yield ImageResult(one.source, None, None, one.error)
            elif one.resized is None:
                yield self._detect_in_tiles(one, wanted)
            else:
                boxes, scores, labels = next(raw)
                boxes = self.preprocess.restore(boxes, one.size)
                detections = self._finish(one, RawDetections(boxes, scores, labels), wanted)
                yield ImageResult(one.source, one.pixels, detections)

    def _detect_in_tiles(self, one: LoadedImage, wanted: Wanted) -> ImageResult:
        assert one.image is not None
        assert self.tiling is not None
        parts = cut(one.image, one.size, self.tiling, self.preprocess)
        try:
            found = detect_in_parts(parts, self._run, self.preprocess, self.batch_size)
        except ImageError as error:
            return ImageResult(one.source, None, None, error)
        found = merge(found.above(wanted.score_thr), one.size, self.iou_thr)
        raw = RawDetections(found.boxes, found.scores, found.labels)
        return ImageResult(one.source, one.pixels, self._finish(one, raw, wanted))

    def _run(self, resized: Sequence[np.ndarray]) -> list[RawDetections]:
        """Detect in resized images, in batches of the same padded size."""
        results: dict[int, RawDetections] = {}
        groups: dict[tuple[int, int], list[int]] = {}
        for index, image in enumerate(resized):
            groups.setdefault(self.preprocess.batch_size([image.shape[:2]]), []).append(index)
        for group in groups.values():
            for indices in windows(group, self.batch_size):
                images = [resized[index] for index in indices]
                batch = self.backend.make_batch(self.preprocess, images)
                raw = self.backend(batch, [image.shape[:2] for image in images])
                results.update(zip(indices, raw, strict=True))
        return [results[index] for index in range(len(resized))]

    def _finish(self, one: LoadedImage, raw: RawDetections, wanted: Wanted) -> Detections:
        detections = Detections.from_arrays(*raw, self.classes, one.size, one.source)
        if wanted.classes is not None:
            detections = detections.filter(names=wanted.classes)
            best = float(detections.scores[0]) if len(detections) else None
            detections = replace(detections, best_score=best)
        detections = detections.filter(wanted.score_thr)
        return detections.suppress(self.iou_thr) if wanted.class_agnostic else detections

    def wanted(
        self,
        score_thr: float | None = None,
        classes: str | Sequence[str] | None = None,
        class_agnostic: bool = False,
    ) -> Wanted:
        """The arguments of a call, checked."""
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
        return Wanted(threshold, classes, class_agnostic)


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
