"""The detector from a checkpoint alone: ``Detector(path)(image)``."""

import os
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, overload

import torch
from mmdet.models.detectors import BaseDetector
from mmdet.registry import MODELS
from mmengine.config import Config, ConfigDict
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import DefaultScope

from lighthead.engine.checkpoint import load_checkpoint_file
from lighthead.engine.plain_config import config_from_json, model_config_from_json
from lighthead.errors import UserError
from lighthead.inference.backends import (
    Backend,
    TorchBackend,
    check_backend,
    check_precision,
    choose_device,
)
from lighthead.inference.exported import is_exported, open_exported
from lighthead.inference.images import ImageLike, read_image
from lighthead.inference.preprocess import Preprocess
from lighthead.inference.results import Detections

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


class Meta(NamedTuple):
    """What travels in a checkpoint beside its weights."""

    cfg: Config
    """The whole config, validated."""
    model_cfg: ConfigDict
    """Its model, without ``init_cfg``: ready for :func:`build_model`."""
    classes: list[str]
    category_ids: list[int]


def read_meta(checkpoint: Mapping[str, Any], path: str | os.PathLike) -> Meta:
    """The config, class names and category ids of a loaded checkpoint.

    Raises:
        UserError: they are missing or do not fit together, or the config asks
            for something that is not allowed.
    """
    meta = checkpoint.get('meta') or {}
    data = meta.get('dataset_meta') or {}
    classes = list(data.get('classes') or [])
    if not meta.get('config_json') or not classes:
        raise UserError(
            f'{path} holds no config and class names of lighthead: give a checkpoint that '
            'tools/train.py wrote.'
        )
    cfg = config_from_json(meta['config_json'])
    model_cfg = model_config_from_json(meta['config_json'])
    ids = list(data.get('category_ids') or range(1, len(classes) + 1))
    for count in _class_counts(model_cfg):
        if not count == len(classes) == len(ids):
            raise UserError(
                f'The model in {path} has {count} classes, but the file names {len(classes)} '
                f'classes and {len(ids)} category ids.'
            )
    return Meta(cfg, model_cfg, classes, ids)


def _class_counts(model_cfg: Mapping) -> Iterator[int]:
    heads = model_cfg.get('roi_head', model_cfg).get('bbox_head', {})
    for head in heads if isinstance(heads, list | tuple) else [heads]:
        if 'num_classes' in head:
            yield head['num_classes']


def build_model(model_cfg: Mapping, score_thr: float = 0.0) -> BaseDetector:
    """Build a detector that is about to receive its weights: nothing is fetched or initialised.

    Args:
        model_cfg: A model without ``init_cfg``; it is left as it is.
        score_thr: Detections below it are not wanted, so they need not reach NMS.
            (A box never suppresses one with a higher score, so the rest is the same.)
    """
    model_cfg = deepcopy(model_cfg)
    test_cfg = model_cfg.get('test_cfg') or {}
    final = test_cfg.get('rcnn', test_cfg)
    if score_thr > final.get('score_thr', 0.0):
        final['score_thr'] = score_thr
    with DefaultScope.overwrite_default_scope('mmdet'):  # BaseModel builds from mmengine's registry
        model = MODELS.build(model_cfg)
    return revert_sync_batchnorm(model).eval()


def load_weights(model: BaseDetector, state_dict: Mapping, path: str | os.PathLike) -> None:
    """Load all weights, none missing, none left over.

    Raises:
        UserError: the weights do not fit the config beside them.
    """
    own = model.state_dict()
    missing = sorted(own.keys() - state_dict.keys())
    unexpected = sorted(state_dict.keys() - own.keys())
    other = sorted(
        name for name in own.keys() & state_dict.keys() if own[name].shape != state_dict[name].shape
    )
    faults = {'missing': missing, 'unexpected': unexpected, 'of another shape': other}
    told = [f'{len(names)} {what} ({names[0]})' for what, names in faults.items() if names]
    if told:
        raise UserError(
            f'The weights in {Path(path)} do not fit the config in it: {", ".join(told)}.'
        )
    model.load_state_dict(state_dict)
