"""Timing the parts of a detector while it runs.

Modules are watched with hooks, methods through a wrapper on the instance; both are taken off
again.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import NamedTuple

import torch
import torch.nn as nn

from lighthead.speed.detectors.build import AnyDetector
from lighthead.speed.harness.timer import Mark, mark, on_device, seconds_between, synchronise

PARTS = (
    *('data', 'backbone', 'neck', 'separable conv', 'RPN', 'proposals + NMS'),
    *('RoI pooling', 'PS-RoI', 'R-CNN head', 'head', 'post-processing', 'others'),
)
"""All parts, in the order of the data's way."""


class Watch(NamedTuple):
    """A part of a detector: its name, the module, and the method (None: calling the module)."""

    part: str
    module: nn.Module
    method: str | None = None


class PartClock:
    """Sums up, part by part, the time between their beginnings and ends on a device."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.marks: list[tuple[str, Mark, Mark]] = []
        self._open: list[Mark] = []

    def begin(self) -> None:
        """A part begins."""
        self._open.append(mark(self.device))

    def end(self, part: str) -> None:
        """The part that began last ends."""
        self.marks.append((part, self._open.pop(), mark(self.device)))

    def seconds(self) -> dict[str, float]:
        """Seconds of every part since the clock was made."""
        synchronise(self.device)
        total: dict[str, float] = {}
        for part, begin, end in self.marks:
            total[part] = total.get(part, 0.0) + seconds_between(begin, end)
        return total


@contextmanager
def watching(watches: list[Watch], clock: PartClock) -> Iterator[None]:
    """Let the clock see the parts; they must not lie within each other."""
    with ExitStack() as stack:
        stack.enter_context(on_device(clock.device))
        for part, module, method in watches:
            if method is None:
                begin = module.register_forward_pre_hook(lambda *_: clock.begin())
                end = module.register_forward_hook(lambda *_, part=part: clock.end(part))
                stack.callback(begin.remove)
                stack.callback(end.remove)
            else:
                setattr(module, method, _timed(getattr(module, method), part, clock))
                stack.callback(delattr, module, method)
        yield


def _timed(function: Callable, part: str, clock: PartClock) -> Callable:
    def call(*args: object, **kwargs: object) -> object:
        clock.begin()
        result = function(*args, **kwargs)
        clock.end(part)
        return result

    return call


def watches_of(model: AnyDetector) -> list[Watch]:
    """The parts of one of mmdet's or torchvision's detectors, in the order of the data's way."""
    watches = _mmdet_watches if hasattr(model, 'data_preprocessor') else _torchvision_watches
    return [Watch(*watch) for watch in watches(model)]


def _mmdet_watches(model: AnyDetector) -> Iterator[tuple]:
    yield 'data', model.data_preprocessor
    yield 'backbone', model.backbone
    if getattr(model, 'neck', None) is not None:
        yield ('separable conv' if hasattr(model.neck, 'tall_wide') else 'neck'), model.neck
    if getattr(model, 'rpn_head', None) is not None:
        yield 'RPN', model.rpn_head
        yield 'proposals + NMS', model.rpn_head, 'predict_by_feat'
    if getattr(model, 'roi_head', None) is not None:
        is_light = type(model).__name__ == 'LightHeadRCNN'
        yield ('PS-RoI' if is_light else 'RoI pooling'), model.roi_head.bbox_roi_extractor
        yield 'R-CNN head', model.roi_head.bbox_head
        yield 'post-processing', model.roi_head.bbox_head, 'predict_by_feat'
    elif getattr(model, 'bbox_head', None) is not None:
        yield 'head', model.bbox_head
        yield 'post-processing', model.bbox_head, 'predict_by_feat'


def _torchvision_watches(model: AnyDetector) -> Iterator[tuple]:
    yield 'data', model.transform
    yield 'backbone', model.backbone
    if hasattr(model, 'rpn'):
        yield 'RPN', model.rpn.head
        yield 'proposals + NMS', model.rpn, 'filter_proposals'
        yield 'RoI pooling', model.roi_heads.box_roi_pool
        yield 'R-CNN head', model.roi_heads.box_head
        yield 'R-CNN head', model.roi_heads.box_predictor
        yield 'post-processing', model.roi_heads, 'postprocess_detections'
    else:
        yield 'head', model.head
        yield 'post-processing', model, 'postprocess_detections'


@contextmanager
def counting_proposals(model: nn.Module) -> Iterator[list[int]]:
    """Notes how many boxes reach the RoI pooling, in all images of each call."""
    kept: list[int] = []

    def note(module: nn.Module, inputs: tuple) -> None:
        boxes = inputs[1]  # mmdet: (K, 5); torchvision: one (K, 4) per image
        kept.append(sum(map(len, boxes)) if isinstance(boxes, list) else len(boxes))

    pools = [w.module for w in watches_of(model) if w.part in ('PS-RoI', 'RoI pooling')]
    handles = [pool.register_forward_pre_hook(note) for pool in pools]
    try:
        yield kept
    finally:
        for handle in handles:
            handle.remove()
