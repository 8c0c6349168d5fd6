"""``lighthead train --auto``: settings that follow from the data, each with its reason.

A rule looks at the figures of the data and at what is set so far. What the user set by a flag or
by ``--cfg-options`` is left alone, and the rules after it go by it. The choices are printed, and
recorded in the dumped config (``auto_choices``).
"""

import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from mmengine.config import Config

from lighthead.config.data_figures import DataFigures, memory_at_hand, read_figures
from lighthead.config.epochs import set_steps
from lighthead.config.image_scale import input_side, set_img_scale, transforms_of
from lighthead.config.read import merge_options
from lighthead.engine.optimizer_steps import VALIDATIONS, choose_steps

SIZES = (416, 512, 640)
"""Input sizes to choose from, smallest first."""
ENLARGED = 1.3
"""By how much the median image is enlarged at most: that adds no information."""
SMALL = 16
"""Pixels: two cells of the finest level (stride 8). Smaller boxes are hardly found."""
MANY_SMALL = 1 / 3
"""Share of small boxes from which the input is made larger, and then zoomed in on. At 416 it is
0.26 in coco-people and 0.28 in coco-mini, for which that size is meant."""
BATCHES = (1, 2, 4, 8, 16, 32)
CPU_BATCH = 8
GPU_IMAGES = {16: 500, 32: 2000}
"""Training images from which a GPU takes so many at once."""
BYTES_PER_PIXEL = 1500
"""Of memory, per input pixel, to train the modern detector of width 1.0x in fp32: an estimate from
900 in bf16 (peak of a process on a CPU, eight images of 416 pixels)."""
MEMORY_SHARE = 0.5
"""Of the free memory that a batch may take."""
CROWDED = 40
"""Boxes per image (95th percentile) from which more proposals and detections are kept."""
FEWEST_VALIDATIONS = 4


@dataclass(frozen=True)
class Choice:
    """A setting and why it was chosen.

    Attributes:
        keys: Of the config, that the setting changes.
        value: For the printed line.
        reason: In a line.
        apply: Changes the config.
        flags: That would set it too.
    """

    keys: tuple[str, ...]
    value: Any
    reason: str
    apply: Callable[[Config], object]
    flags: tuple[str, ...] = ()

    def is_given(self, given: Collection[str]) -> bool:
        """Whether the user set it, by a flag or a key."""
        return bool({*self.keys, *self.flags} & set(given))


@dataclass(frozen=True)
class Machine:
    """What a training runs on.

    Attributes:
        memory: Free bytes.
        gpu: Whether it is a GPU's.
        processes: That train together.
    """

    memory: float
    gpu: bool = False
    processes: int = 1

    @classmethod
    def this(cls) -> 'Machine':
        """The machine at hand; the launcher says the number of processes."""
        processes = int(os.environ.get('WORLD_SIZE', 1))
        return cls(memory_at_hand(), torch.cuda.is_available(), processes)


def set_auto(
    cfg: Config, value: bool, given: Collection[str] = (), options: Mapping[str, Any] | None = None
) -> None:
    """Choose by the data what the user did not set, in place.

    Args:
        given: Flags that were given; the config has them already.
        options: Of ``--cfg-options``, which are applied later.

    Raises:
        UserError: the data have a fault.
    """
    cfg.auto_choices = apply_rules(cfg, read_figures(cfg), Machine.this(), given, options or {})


def apply_rules(
    cfg: Config,
    figures: DataFigures,
    machine: Machine,
    given: Collection[str],
    options: Mapping[str, Any],
) -> list[str]:
    """Apply every rule; a line per choice."""
    lines = []
    known = Config(cfg.to_dict(), filename=cfg.filename)  # with the options, for the rules
    merge_options(known, options)
    for rule in RULES:
        choice = rule(figures, known, machine)
        if choice is None:
            continue
        if choice.is_given({*given, *options}):
            lines.append(f'{choice.keys[0]}: as given')
            continue
        for each in (cfg, known):
            choice.apply(each)
        lines.append(f'{choice.keys[0]}={choice.value}: {choice.reason}')
    return lines


def input_size(figures: DataFigures, cfg: Config, machine: Machine) -> Choice:
    """The smallest size at which few boxes are tiny, but not much larger than the images."""
    possible = [s for s in SIZES if s <= ENLARGED * figures.long_side] or [SIZES[0]]
    fitting = [s for s in possible if figures.share_below(SMALL, s) <= MANY_SMALL]
    size = fitting[0] if fitting else possible[-1]
    share = figures.share_below(SMALL, size)
    reason = f'{share:.0%} of the boxes are smaller than {SMALL} pixels there'
    if size != SIZES[0]:
        reason += f', {figures.share_below(SMALL, SIZES[0]):.0%} at {SIZES[0]}'
    if size == possible[-1] and size != SIZES[-1]:
        reason += f'; the images have {figures.long_side:g} pixels (median of the longer sides)'
    scale = (size, size)
    apply = partial(set_img_scale, value=scale)
    return Choice(('img_scale',), scale, reason, apply, ('img_scale',))


def batch_size(figures: DataFigures, cfg: Config, machine: Machine) -> Choice:
    """As many images as the memory holds, not more than so few images make sense of."""
    side = input_side(cfg) or SIZES[0]
    wanted = CPU_BATCH
    if machine.gpu:
        wanted = max([b for b, n in GPU_IMAGES.items() if figures.images >= n], default=wanted)
    width = cfg.model.backbone.get('widen_factor', 1.0)
    need = BYTES_PER_PIXEL * side**2 * max(width, 1.0)
    room = MEMORY_SHARE * machine.memory
    size = max([b for b in BATCHES if b <= wanted and b * need <= room], default=1)
    place = 'GPU' if machine.gpu else 'machine'
    reason = f'{figures.images} images; a batch takes about {size * need / 2**30:.1f} GiB'
    reason += f' of {machine.memory / 2**30:.1f} free on this {place}'

    def apply(cfg: Config) -> None:
        cfg.train_dataloader.batch_size = size

    return Choice(('train_dataloader.batch_size',), size, reason, apply, ('batch_size',))


def steps(figures: DataFigures, cfg: Config, machine: Machine) -> Choice:
    """Steps by the number of images; validations by what they cost."""
    at_once = cfg.train_dataloader.batch_size * machine.processes
    step_images = at_once * cfg.optim_wrapper.get('accumulative_counts', 1)
    count = choose_steps(figures.images, step_images)
    seen = count * step_images
    validations = VALIDATIONS
    if figures.val_images:
        affordable = seen // (2 * figures.val_images)
        validations = min(VALIDATIONS, max(FEWEST_VALIDATIONS, affordable))
    reason = (
        f'{seen / figures.images:.0f} epochs of {figures.images} images; validated about '
        f'{validations} times on {figures.val_images}'
    )
    key = 'train_cfg.max_steps' if 'max_steps' in cfg.train_cfg else 'train_cfg.max_epochs'
    value = count if key.endswith('steps') else max(1, round(seen / figures.images))

    def apply(cfg: Config) -> None:
        set_steps(cfg, count, figures.images, step_images, validations)

    return Choice((key,), value, reason, apply, ('epochs',))


def zoom(figures: DataFigures, cfg: Config, machine: Machine) -> Choice | None:
    """Where many boxes stay tiny, images are enlarged more often than reduced."""
    share = figures.share_below(SMALL, input_side(cfg) or SIZES[0])
    found = _train_transforms(cfg, 'RandomZoom')
    if share <= MANY_SMALL or not found:
        return None
    reason = f'small objects: {share:.0%} of the boxes are smaller than {SMALL} pixels'

    def apply(cfg: Config) -> None:
        for transform in _train_transforms(cfg, 'RandomZoom'):
            transform['scaling_ratio_range'] = (0.8, 2.0)
        for transform in _train_transforms(cfg, 'FilterAnnotations'):
            transform['min_gt_bbox_wh'] = (2, 2)

    return Choice(('RandomZoom.scaling_ratio_range',), (0.8, 2.0), reason, apply)


def crowded(figures: DataFigures, cfg: Config, machine: Machine) -> Choice | None:
    """Where images hold many boxes, more proposals and detections are kept."""
    test: Any = cfg.model.get('test_cfg') or {}
    if figures.boxes_per_image <= CROWDED or not (test.get('rpn') and test.get('rcnn')):
        return None
    kept = min(100 * -(-figures.boxes_per_image * 2 // 100), 500)
    proposals = max(3 * figures.boxes_per_image, test.rpn.max_per_img)
    reason = f'one image in twenty has {figures.boxes_per_image} boxes or more'

    def apply(cfg: Config) -> None:
        test = cfg.model.test_cfg
        test.rcnn.max_per_img = max(kept, test.rcnn.max_per_img)
        test.rpn.max_per_img = proposals
        test.rpn.nms_pre = max(proposals, test.rpn.nms_pre)

    return Choice(('model.test_cfg.rpn.max_per_img',), proposals, reason, apply)


def mirror(figures: DataFigures, cfg: Config, machine: Machine) -> Choice | None:
    """Classes that differ in left and right are not mirrored."""
    if not figures.has_sides or not _train_transforms(cfg, 'RandomFlip'):
        return None

    def apply(cfg: Config) -> None:
        for transform in _train_transforms(cfg, 'RandomFlip'):
            transform['prob'] = 0.0

    return Choice(('RandomFlip.prob',), 0.0, 'class names say left or right', apply)


def _train_transforms(cfg: Config, kind: str) -> list[dict]:
    transforms = transforms_of(cfg, ('train_dataloader',))
    return [transform for transform in transforms if transform.get('type') == kind]


RULES = (input_size, batch_size, steps, zoom, crowded, mirror)
"""In the order in which they build on one another."""
