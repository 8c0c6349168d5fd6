"""A detector, ready to be timed: built, on its device, from images to boxes."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn as nn
from torch import Tensor

from lighthead.errors import UserError
from lighthead.speed.detectors import (
    TORCHVISION,
    build_mmdet_detector,
    build_torchvision_detector,
)
from lighthead.speed.fusion import fuse_norms
from lighthead.speed.prepare import autocast
from lighthead.speed.settings import Settings


class Proposals(NamedTuple):
    """How many boxes go into and out of the RPN's NMS, and the final score threshold."""

    before: int
    after: int
    score: float

    @property
    def text(self) -> str:
        """The three numbers."""
        return f'{self.before}/{self.after}/{self.score:g}'


PADDING = 32
"""Sides are padded to a multiple of this: feature pyramids need it."""
PROPOSALS = {'torchvision': Proposals(1000, 1000, 0.05), 'paper': Proposals(6000, 1000, 0.0)}


@dataclass(frozen=True)
class Candidate:
    """A detector to be timed, by its name on the command line."""

    name: str
    checkpoint: str | None = None

    @property
    def label(self) -> str:
        """Its name without folders."""
        return Path(self.name).stem if self.name.endswith('.py') else self.name.split(':')[-1]

    def build(self, size: tuple[int, int]) -> nn.Module:
        """The detector, in eval mode."""
        if self.name.startswith(TORCHVISION):
            return build_torchvision_detector(self.name.removeprefix(TORCHVISION), size)
        model = build_mmdet_detector(self.name, self.checkpoint)
        if getattr(model.data_preprocessor, 'pad_size_divisor', PADDING) < PADDING:
            model.data_preprocessor.pad_size_divisor = PADDING  # its own pipeline would pad
        return model


@dataclass(frozen=True)
class Runner:
    """A detector on its device, run on one batch."""

    model: nn.Module
    settings: Settings
    size: tuple[int, int]
    image: str | None = None
    """A file; None: noise."""

    def load(self, batch: int) -> list[Tensor]:
        """The batch's images as bytes (3, H, W), RGB for torchvision, BGR for mmdet."""
        if self.image:
            rgb = not hasattr(self.model, 'data_preprocessor')
            return [read_image(self.image, self.size, rgb) for _ in range(batch)]
        generator = torch.Generator().manual_seed(self.settings.seed)
        shape = (batch, 3, *self.size)
        return list(torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator))

    def calls(self, batch: int, proposals: Proposals | None) -> Callable[[], object]:
        """What is timed: a batch of images to their boxes."""
        images = None if self.image else self.load(batch)

        @torch.inference_mode()
        def call() -> object:
            if proposals:
                apply_proposals(self.model, proposals)
            with autocast(self.settings):
                return self.detect(images or self.load(batch))

        return call

    def detect(self, images: list[Tensor]) -> list:
        """Boxes of the images."""
        if not hasattr(self.model, 'data_preprocessor'):
            device = self.settings.torch_device
            return self.model([image.to(device).float().div(255) for image in images])
        from mmdet.structures import DetDataSample

        samples = []
        for image in images:
            height, width = image.shape[1:]
            info = dict(img_shape=(height, width), ori_shape=(height, width))
            samples.append(DetDataSample(metainfo=info | dict(scale_factor=(1.0, 1.0))))
        return self.model.test_step(dict(inputs=images, data_samples=samples))


def read_image(path: str, size: tuple[int, int], rgb: bool) -> Tensor:
    """An image file, resized to fit into ``size`` with its aspect kept, as bytes (3, H, W)."""
    import cv2

    image = cv2.imread(path)
    if image is None:
        raise UserError(f'--image {path} cannot be read as an image.')
    height, width = image.shape[:2]
    short, long = sorted(size)
    scale = min(short / min(height, width), long / max(height, width))
    target = (max(1, round(width * scale)), max(1, round(height * scale)))
    image = cv2.resize(image, target, interpolation=cv2.INTER_LINEAR)
    if rgb:
        image = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
    return torch.from_numpy(image).permute(2, 0, 1).contiguous()


def takes_proposals(model: nn.Module) -> bool:
    """Whether the detector has two stages, so that the setting means something."""
    return hasattr(model, 'rpn') or getattr(model, 'rpn_head', None) is not None


def apply_proposals(model: nn.Module, proposals: Proposals) -> None:
    """Set the numbers in a two-stage detector of mmdet or torchvision."""
    if hasattr(model, 'rpn'):
        model.rpn._pre_nms_top_n['testing'] = proposals.before
        model.rpn._post_nms_top_n['testing'] = proposals.after
        model.roi_heads.score_thresh = proposals.score
    else:
        model.rpn_head.test_cfg.nms_pre = proposals.before
        model.rpn_head.test_cfg.max_per_img = proposals.after
        model.roi_head.test_cfg.score_thr = proposals.score


def make_runner(
    candidate: Candidate, size: tuple[int, int], image: str | None, settings: Settings
) -> Runner:
    """Build the detector and put it where and how the settings say."""
    torch.manual_seed(settings.seed)
    model = candidate.build(size).to(settings.torch_device)
    for parameter in model.parameters():
        parameter.requires_grad = False
    runner = Runner(model, settings, size, image)
    if settings.fuse_bn:
        fuse_norms(model, runner.calls(1, None))
    if settings.channels_last:
        model.to(memory_format=torch.channels_last)
    if settings.on_gpu:
        torch.backends.cudnn.benchmark = True
    if settings.compile:
        model.backbone.compile()
    return runner


def make_call(
    candidate: Candidate,
    size: tuple[int, int],
    image: str | None,
    settings: Settings,
    batch: int,
    proposals: Proposals | None,
) -> Callable[[], object]:
    """What is timed, from scratch: for the process that measures the memory."""
    return make_runner(candidate, size, image, settings).calls(batch, proposals)


def detections_per_image(outputs: list) -> float:
    """Mean number of boxes in what a detector returned."""
    found = [len(o['boxes']) if isinstance(o, dict) else len(o.pred_instances) for o in outputs]
    return sum(found) / len(found)
