"""The detector from one file alone: ``Detector(path)(image)``.

Neither torch nor mmdet is imported here, so that an exported file runs without them.
"""

import os
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any, NamedTuple, overload

import numpy as np

from lighthead.errors import UserError
from lighthead.inference.batching import Image, in_batches
from lighthead.inference.images import ImageError, ImageLike
from lighthead.inference.loading import FailedImage, LoadedImage, load_image
from lighthead.inference.merging import merge, put_together
from lighthead.inference.open_model import local_file, open_model
from lighthead.inference.read_ahead import default_workers, ordered_map, prefetch
from lighthead.inference.results import Detections
from lighthead.inference.runtimes.backend import RawDetections, check_threads
from lighthead.inference.tiles import cut, make_tiling
from lighthead.inference.wanted import Wanted, check_threshold, checked


class ImageResult(NamedTuple):
    """What became of one image: its pixels (uint8 BGR; None for one that was read by windows)
    and detections, or an error."""

    source: ImageLike
    image: np.ndarray | None
    detections: Detections | None
    error: ImageError | None = None


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
        batch_size: How many images of a list go through the network at once; None: as many as
            this backend is fastest with. Only images of the same padded size share a batch, so
            that no result depends on the others in the list.
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
        batch_size: int | None = 1,
        *,
        tile: int | None = None,
        overlap: float = 0.2,
        threads: int | None = None,
        trust: bool = False,
    ) -> None:
        self.score_thr = check_threshold(score_thr)
        if batch_size is not None and batch_size < 1:
            raise UserError(f'batch_size={batch_size} is less than 1.')
        self.tiling = make_tiling(tile, overlap)
        check_threads(threads)
        self.path = local_file(path)
        opened = open_model(self.path, device, backend, precision, threads, trust)
        self.backend, self.preprocess, self.classes, self.category_ids, self.iou_thr = opened
        self.device = self.backend.device
        self.batch_size = batch_size or self.backend.best_batch_size

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
        batch_size: int | None = None,
    ) -> Generator[ImageResult, None, None]:
        """Detect in any number of images, in bounded memory, in their order.

        Images are read ahead in threads while the network runs. One that cannot be read
        comes with its ``error``, and the rest goes on.

        Args:
            sources: Images as of :meth:`__call__`, taken when there is room.
            score_thr, classes, class_agnostic: As of :meth:`__call__`.
            workers: Threads that read; None: half of the cores. 0 reads in this thread.
            batch_size: For this call, instead of the detector's; 1 where each result is
                wanted as soon as its image is there.
        """
        wanted = self.wanted(score_thr, classes, class_agnostic)
        workers = default_workers() if workers is None else workers
        return self._stream(sources, wanted, workers, batch_size)

    def _stream(
        self,
        sources: Iterable[ImageLike],
        wanted: Wanted,
        workers: int,
        batch_size: int | None = None,
    ) -> Generator[ImageResult, None, None]:
        ahead = (batch_size or self.images_per_call) + workers
        with closing(ordered_map(self.load, sources, workers, ahead)) as loaded:
            yield from self.detect(loaded, wanted, batch_size)

    @property
    def images_per_call(self) -> int:
        """How many images share a batch, at most; with tiles, those of one image do."""
        return 1 if self.tiling is not None else self.batch_size

    def load(self, source: ImageLike) -> LoadedImage | FailedImage:
        """Read and resize an image for :meth:`detect`."""
        return load_image(source, self.preprocess, self.tiling)

    def detect(
        self,
        images: Iterable[LoadedImage | FailedImage],
        wanted: Wanted,
        batch_size: int | None = None,
    ) -> Generator[ImageResult, None, None]:
        """Detect in images that were loaded, in their order.

        Args:
            images: By :meth:`load`; those of the same padded size share batches.
            wanted: By :meth:`wanted`.
            batch_size: See :meth:`stream`.
        """
        for one, raw in self._in_batches(images, batch_size or self.images_per_call, wanted):
            if isinstance(one, FailedImage):
                yield ImageResult(one.source, None, None, one.error)
            elif raw is None:
                yield self._detect_in_tiles(one, wanted)
            else:
                raw = raw._replace(boxes=self.preprocess.restore(raw.boxes, one.size))
                yield ImageResult(one.source, one.pixels, self._finish(one, raw, wanted))

    def _detect_in_tiles(self, one: LoadedImage, wanted: Wanted) -> ImageResult:
        assert one.image is not None
        assert self.tiling is not None
        parts = cut(one.image, one.size, self.tiling, self.preprocess)
        try:
            with closing(prefetch(parts, self.batch_size)) as ready:
                raw_parts = self._in_batches(ready, self.batch_size, wanted)
                found = put_together(raw_parts, self.preprocess)
        except ImageError as error:
            return ImageResult(one.source, None, None, error)
        found = merge(found.above(wanted.score_thr), one.size, self.iou_thr)
        raw = RawDetections(found.boxes, found.scores, found.labels)
        return ImageResult(one.source, one.pixels, self._finish(one, raw, wanted))

    def _in_batches(
        self, images: Iterable[Image], batch_size: int, wanted: Wanted
    ) -> Iterator[tuple[Image, RawDetections | None]]:
        """See :func:`lighthead.inference.batching.in_batches`."""
        # Without a detection of a wanted class, the best one's score is told all the same.
        score_thr = wanted.score_thr if wanted.classes is None else 0.0

        def run(resized: Sequence[np.ndarray]) -> list[RawDetections]:
            batch = self.backend.make_batch(self.preprocess, resized)
            return self.backend(batch, [image.shape[:2] for image in resized], score_thr)

        def padded_size(size: tuple[int, int]) -> tuple[int, int]:
            return self.preprocess.batch_size([size])

        return in_batches(images, batch_size, padded_size, run)

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
        score_thr = self.score_thr if score_thr is None else score_thr
        return checked(score_thr, classes, class_agnostic, self.classes)


def unwrap(result: ImageResult) -> Detections:
    """The image's detections; raises the ImageError of one that could not be read."""
    if result.error is not None:
        raise result.error
    assert result.detections is not None  # there is one of the two
    return result.detections
