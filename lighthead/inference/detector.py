"""The detector from a checkpoint alone: ``Detector(path)(image)``."""

import os
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import overload

import torch

from lighthead.checkpoint.build_model import build_model, load_weights, read_meta
from lighthead.checkpoint.safe_files import load_checkpoint_file
from lighthead.errors import UserError
from lighthead.inference.images import ImageLike, read_image
from lighthead.inference.preprocess import Preprocess
from lighthead.inference.results import Detections
from lighthead.inference.runtimes.exported import is_exported, open_exported
from lighthead.inference.runtimes.torch_backend import (
    Backend,
    TorchBackend,
    check_backend,
    check_precision,
    choose_device,
)

WINDOW = 8
"""Of a list, this many batches are read ahead to find images of the same size."""


class Detector:
    """Finds objects in images.

    >>> detector = Detector('work_dirs/demo/best.pth')
    >>> detections = detector('photo.jpg')
    >>> detections.boxes, detections.scores, detections.names

    Args:
        path: A checkpoint of lighthead, or a file that tools/export.py wrote (.onnx,
            .xml, .pt2); class names and preprocessing travel in it.
        device: ``'cpu'``, ``'cuda'``, ``'cuda:1'``...; None takes a GPU where there is one.
        backend: ``'torch'``, ``'onnxruntime'`` or ``'openvino'``; None chooses by the file.
        precision: ``'fp32'``, ``'bf16'`` or ``'fp16'``, as device and backend allow;
            None is float32, or what an exported file was quantised to.
        score_thr: Detections with a lower score are left out.
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
        device: str | torch.device | None = None,
        backend: str | None = None,
        precision: str | None = None,
        score_thr: float = 0.3,
        batch_size: int = 1,
        *,
        threads: int | None = None,
        trust: bool = False,
    ) -> None:
        if not 0 <= score_thr <= 1:
            raise UserError(f'score_thr={score_thr} is not in 0..1.')
        if batch_size < 1:
            raise UserError(f'batch_size={batch_size} is less than 1.')
        self.score_thr = score_thr
        self.batch_size = batch_size
        if threads is not None and threads < 1:
            raise UserError(f'threads={threads} is less than 1.')
        if is_exported(path):
            self.backend, meta = open_exported(
                path, backend, device or 'cpu', precision, threads, trust
            )
            self.classes, self.category_ids = meta.classes, meta.category_ids
            self.preprocess = meta.preprocess
        else:
            self._from_checkpoint(path, device, backend, precision or 'fp32', trust)
            if threads is not None:
                torch.set_num_threads(threads)
        self.device = self.backend.device

    def _from_checkpoint(
        self,
        path: str | os.PathLike,
        device: str | torch.device | None,
        backend: str | None,
        precision: str,
        trust: bool,
    ) -> None:
        if check_backend(backend) != 'torch':
            raise UserError(
                f'The backend {backend!r} runs exported files, and {path} is a checkpoint: export '
                'it with tools/export.py first.'
            )
        chosen = choose_device(device)
        check_precision(chosen, precision)
        checkpoint = load_checkpoint_file(path, trust=trust)
        cfg, model_cfg, self.classes, self.category_ids = read_meta(checkpoint, path)
        self.preprocess = Preprocess.from_config(cfg)
        model = build_model(model_cfg, self.score_thr)
        load_weights(model, checkpoint['state_dict'], path)
        self.backend: Backend = TorchBackend(model, chosen, precision)

    @overload
    def __call__(self, images: ImageLike) -> Detections: ...

    @overload
    def __call__(self, images: Sequence[ImageLike]) -> list[Detections]: ...

    def __call__(self, images: ImageLike | Sequence[ImageLike]) -> Detections | list[Detections]:
        """Detect in one image, or in a list of images.

        Args:
            images: What :func:`lighthead.inference.images.read_image` reads
                (numpy arrays are BGR, tensors RGB), or a list or tuple of it.

        Returns:
            The image's detections; for a list, a list in the same order.

        Raises:
            ImageError: an image cannot be read.
        """
        if not isinstance(images, list | tuple):
            return self._detect([images])[0]
        results: list[Detections] = []
        ahead = self.batch_size * WINDOW if self.batch_size > 1 else 1
        for window in _windows(images, ahead):
            results += self._detect(window)
        return results

    def _detect(self, sources: Sequence[ImageLike]) -> list[Detections]:
        sizes, resized = [], []
        for source in sources:
            image = read_image(source)
            sizes.append(image.shape[:2])
            resized.append(self.preprocess.resize(image))
        groups: dict[tuple[int, int], list[int]] = {}
        for index, size in enumerate(sizes):
            groups.setdefault(self.preprocess.padded_size(size), []).append(index)
        results: dict[int, Detections] = {}
        for group in groups.values():
            for batch in _windows(group, self.batch_size):
                pixels = self.preprocess.batch(
                    [resized[i] for i in batch], self.device, self.backend.channels_last
                )
                found = self.backend(pixels, [resized[i].shape[:2] for i in batch])
                for index, (boxes, scores, labels) in zip(batch, found, strict=True):
                    boxes = self.preprocess.restore(boxes, sizes[index])
                    detections = Detections.from_arrays(
                        boxes, scores, labels, self.classes, sizes[index]
                    )
                    results[index] = detections.filter(self.score_thr)
        return [results[index] for index in range(len(sources))]


def _windows(items: Sequence, size: int) -> Iterator[list]:
    iterator = iter(items)
    while window := list(islice(iterator, size)):
        yield window
