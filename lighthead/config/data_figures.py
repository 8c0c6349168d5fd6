"""What a training's settings can be chosen by: figures of its images, and the memory at hand."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import torch
from mmengine.config import Config

from lighthead.config.kinds import Finite, Kinds, Loader, Loop, OptimWrapper, Positive, check_kinds
from lighthead.data.check import check_data
from lighthead.data.clean import load_clean_boxes
from lighthead.data.layout import dataset_cfgs

SIDES = re.compile(r'(?<![a-z])(left|right)(?![a-z])', re.IGNORECASE)
CGROUP = Path('/sys/fs/cgroup')


class _Backbone(Kinds):
    widen_factor: Finite = 1.0


class _Kept(Kinds):
    max_per_img: Positive


class _Proposals(_Kept):
    nms_pre: Positive


class _TestCfg(Kinds):
    rpn: _Proposals | None = None
    rcnn: _Kept | None = None


class _Model(Kinds):
    backbone: _Backbone
    test_cfg: _TestCfg = _TestCfg()


class _Automatic(Kinds):
    """What ``--auto`` reads of a config."""

    model: _Model
    train_dataloader: Loader
    train_cfg: Loop
    optim_wrapper: OptimWrapper


@dataclass(frozen=True)
class DataFigures:
    """Figures of the training images.

    Attributes:
        images: How many.
        val_images: How many there are to validate on; 0: none.
        classes: Their names.
        long_side: Median of the images' longer sides, in pixels.
        boxes: Side of each box (root of its area), as a share of its image's longer side.
        boxes_per_image: 95th percentile, over images with boxes.
    """

    images: int
    val_images: int
    classes: tuple[str, ...]
    long_side: float
    boxes: tuple[float, ...]
    boxes_per_image: int

    def share_below(self, pixels: float, input_side: int) -> float:
        """Share of the boxes that are smaller than so many pixels at an input size."""
        return sum(box * input_side < pixels for box in self.boxes) / max(len(self.boxes), 1)

    @property
    def has_sides(self) -> bool:
        """Whether classes differ in left and right, so that images must not be mirrored."""
        return any(SIDES.search(name) for name in self.classes)


def figures_of(
    content: Mapping, val_images: int = 0, classes: Sequence[str] | None = None
) -> DataFigures:
    """Figures of cleaned COCO content."""
    sides = {image['id']: max(image['width'], image['height']) for image in content['images']}
    boxes = [a for a in content['annotations'] if not a.get('iscrowd')]
    counts = sorted(Counter(box['image_id'] for box in boxes).values())
    return DataFigures(
        images=len(sides),
        val_images=val_images,
        classes=tuple(classes or (c['name'] for c in content['categories'])),
        long_side=median(sides.values()),
        boxes=tuple(
            (box['bbox'][2] * box['bbox'][3]) ** 0.5 / sides[box['image_id']] for box in boxes
        ),
        boxes_per_image=counts[int(0.95 * (len(counts) - 1))] if counts else 0,
    )


def read_figures(cfg: Config) -> DataFigures:
    """Figures of a config's training data.

    Raises:
        UserError: the data have a fault (:func:`lighthead.data.check.check_data`), or the config
            lacks what ``--auto`` goes by.
    """
    check_kinds(cfg, _Automatic, '--auto: the config')
    reports = check_data(cfg).splits
    train = next(report for report in reports if report.split == 'train')
    val_images = sum(report.images for report in reports if report.split == 'val')
    content, _ = load_clean_boxes(train.ann_file)
    metainfo = dataset_cfgs(cfg.train_dataloader)[0].get('metainfo') or {}
    return figures_of(content, val_images, metainfo.get('classes'))


def memory_at_hand() -> float:
    """Free bytes: of the GPU where there is one, else of the machine or the container."""
    if torch.cuda.is_available():
        return float(torch.cuda.mem_get_info()[0])
    free = [_meminfo(), _cgroup()]
    return min(value for value in free if value is not None)


def _meminfo(path: Path = Path('/proc/meminfo')) -> float:
    match = re.search(r'MemAvailable:\s+(\d+) kB', path.read_text())
    return 1024.0 * int(match.group(1)) if match else float('inf')


def _cgroup(folder: Path = CGROUP) -> float | None:
    """What a container may still take; None where it has no limit.

    Files that were read count as used there, and are given up when memory is short.
    """
    try:
        limit, used, details = (
            (folder / f'memory.{name}').read_text().strip() for name in ('max', 'current', 'stat')
        )
    except OSError:
        return None
    cached = re.search(r'^inactive_file (\d+)$', details, re.MULTILINE)
    if not limit.isdecimal():
        return None
    return float(int(limit) - int(used) + (int(cached.group(1)) if cached else 0))
