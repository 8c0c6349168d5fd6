"""Timing the parts of a detector while it runs.

Modules are watched with hooks, methods through a wrapper on the instance; both
are taken off again. On a GPU the marks are CUDA events, read after the run.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
import torch.nn as nn


class Watch(NamedTuple):
    """A part of a detector: its name, the module, and the method (None: calling the module)."""

    part: str
    module: nn.Module
    method: str | None = None


class StageClock:
    """Sums up, part by part, the time between their beginnings and ends."""

    def __init__(self, device: torch.device) -> None:
        self.on_gpu = device.type == 'cuda'
        self.marks: list[tuple[str, object, object]] = []
        self._open: list[object] = []

    def now(self) -> object:
        """A point in time: seconds, or a CUDA event."""
        if not self.on_gpu:
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def begin(self) -> None:
        """A part begins."""
        self._open.append(self.now())

    def end(self, part: str) -> None:
        """The part that began last ends."""
        self.marks.append((part, self._open.pop(), self.now()))

    def seconds(self) -> dict[str, float]:
        """Seconds of every part since the clock was made."""
        if self.on_gpu:
            torch.cuda.synchronize()
        total: dict[str, float] = {}
        for part, begin, end in self.marks:
            spent = begin.elapsed_time(end) / 1e3 if self.on_gpu else end - begin
            total[part] = total.get(part, 0.0) + spent
        return total


@contextmanager
def watching(watches: list[Watch], clock: StageClock) -> Iterator[None]:
    """Let the clock see the parts; they must not lie within each other."""
    handles = []
    wrapped: list[tuple[nn.Module, str]] = []
    try:
        for watch in watches:
            if watch.method is None:
                handles.append(watch.module.register_forward_pre_hook(lambda *_: clock.begin()))
                handles.append(
                    watch.module.register_forward_hook(lambda *_, part=watch.part: clock.end(part))
                )
            else:
                original = getattr(watch.module, watch.method)
                setattr(watch.module, watch.method, _timed(original, watch.part, clock))
                wrapped.append((watch.module, watch.method))
        yield
    finally:
        for handle in handles:
            handle.remove()
        for module, method in wrapped:
            delattr(module, method)


def _timed(function: Callable, part: str, clock: StageClock) -> Callable:
    def call(*args: object, **kwargs: object) -> object:
        clock.begin()
        result = function(*args, **kwargs)
        clock.end(part)
        return result

    return call


def watches_of(model: nn.Module) -> list[Watch]:
    """The parts of one of mmdet's or torchvision's detectors, in the order of the data's way."""
    if hasattr(model, 'data_preprocessor'):
        return _mmdet_watches(model)
    return _torchvision_watches(model)


def _mmdet_watches(model: nn.Module) -> list[Watch]:
    neck = getattr(model, 'neck', None)
    neck_part = 'separable conv' if hasattr(neck, 'tall_wide') else 'neck'
    watches = [Watch('data', model.data_preprocessor), Watch('backbone', model.backbone)]
    if neck is not None:
        watches.append(Watch(neck_part, neck))
    if getattr(model, 'rpn_head', None) is not None:
        watches.append(Watch('RPN', model.rpn_head))
        watches.append(Watch('proposals + NMS', model.rpn_head, 'predict_by_feat'))
    if getattr(model, 'roi_head', None) is not None:
        head = model.roi_head
        pooling = 'PS-RoI' if model.__class__.__name__ == 'LightHeadRCNN' else 'RoI pooling'
        watches.append(Watch(pooling, head.bbox_roi_extractor))
        watches.append(Watch('R-CNN head', head.bbox_head))
        watches.append(Watch('post-processing', head.bbox_head, 'predict_by_feat'))
    elif getattr(model, 'bbox_head', None) is not None:
        watches.append(Watch('head', model.bbox_head))
        watches.append(Watch('post-processing', model.bbox_head, 'predict_by_feat'))
    return watches


def _torchvision_watches(model: nn.Module) -> list[Watch]:
    watches = [Watch('data', model.transform), Watch('backbone', model.backbone)]
    if hasattr(model, 'rpn'):
        watches.append(Watch('RPN', model.rpn.head))
        watches.append(Watch('proposals + NMS', model.rpn, 'filter_proposals'))
        watches.append(Watch('RoI pooling', model.roi_heads.box_roi_pool))
        watches.append(Watch('R-CNN head', model.roi_heads.box_head))
        watches.append(Watch('R-CNN head', model.roi_heads.box_predictor))
        watches.append(Watch('post-processing', model.roi_heads, 'postprocess_detections'))
    else:
        watches.append(Watch('head', model.head))
        watches.append(Watch('post-processing', model, 'postprocess_detections'))
    return watches


@contextmanager
def counting_proposals(model: nn.Module) -> Iterator[list[int]]:
    """Notes how many boxes reach the RoI pooling, in all images of each call."""
    kept: list[int] = []

    def note(module: nn.Module, inputs: tuple) -> None:
        boxes = inputs[1]  # mmdet: (K, 5); torchvision: one (K, 4) per image
        kept.append(sum(map(len, boxes)) if isinstance(boxes, list) else len(boxes))

    pool = None
    if getattr(model, 'roi_head', None) is not None:
        pool = model.roi_head.bbox_roi_extractor
    elif hasattr(model, 'roi_heads'):
        pool = model.roi_heads.box_roi_pool
    handle = pool.register_forward_pre_hook(note) if pool is not None else None
    try:
        yield kept
    finally:
        if handle is not None:
            handle.remove()


PARTS = (
    *('data', 'backbone', 'neck', 'separable conv', 'RPN', 'proposals + NMS'),
    *('RoI pooling', 'PS-RoI', 'R-CNN head', 'head', 'post-processing', 'others'),
)
"""All parts, in the order of the data's way."""
