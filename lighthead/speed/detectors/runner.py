"""A detector, ready to be timed: on its device, from images to boxes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import torch
from mmdet.structures import DetDataSample
from torch import Tensor

from lighthead.errors import UserError
from lighthead.speed.detectors.build import AnyDetector, Candidate
from lighthead.speed.harness.conditions import Conditions
from lighthead.speed.harness.prepared import place


class Proposals(NamedTuple):
    """How many boxes go into and out of the RPN's NMS, and the final score threshold."""

    before: int
    after: int
    score: float

    @property
    def text(self) -> str:
        """The three numbers."""
        return f'{self.before}/{self.after}/{self.score:g}'


PROPOSALS = {'torchvision': Proposals(1000, 1000, 0.05), 'paper': Proposals(6000, 1000, 0.0)}


@dataclass(frozen=True)
class Runner:
    """A detector on its device; ``image`` is a file, or None for noise."""

    model: AnyDetector
    conditions: Conditions
    size: tuple[int, int]
    image: str | None = None

    @property
    def is_mmdet(self) -> bool:
        """Whether the detector is mmdet's, and not torchvision's."""
        return hasattr(self.model, 'data_preprocessor')

    def load(self, batch: int) -> list[Tensor]:
        """The batch's images as bytes (3, H, W), RGB for torchvision, BGR for mmdet."""
        if self.image:
            return [read_image(self.image, self.size, not self.is_mmdet) for _ in range(batch)]
        generator = torch.Generator().manual_seed(self.conditions.seed)
        shape = (batch, 3, *self.size)
        return list(torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator))

    def calls(self, batch: int, proposals: Proposals | None) -> Callable[[], list]:
        """What is timed: a batch of images to their boxes."""
        images = None if self.image else self.load(batch)

        @torch.inference_mode()
        def call() -> list:
            if proposals:
                apply_proposals(self.model, proposals)
            with self.conditions.applied():
                return self.detect(images or self.load(batch))

        return call

    def detect(self, images: list[Tensor]) -> list:
        """Boxes of the images."""
        if not self.is_mmdet:
            device = self.conditions.torch_device
            return self.model([image.to(device).float().div(255) for image in images])
        samples = []
        for image in images:
            shape = tuple(image.shape[1:])
            info = dict(img_shape=shape, ori_shape=shape, scale_factor=(1.0, 1.0))
            samples.append(DetDataSample(metainfo=info))
        return self.model.test_step(dict(inputs=images, data_samples=samples))


def read_image(path: str, size: tuple[int, int], rgb: bool) -> Tensor:
    """An image file, resized to fit into ``size`` with its aspect kept, as bytes (3, H, W)."""
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


def takes_proposals(model: AnyDetector) -> bool:
    """Whether the detector has two stages, so that the setting means something."""
    return hasattr(model, 'rpn') or getattr(model, 'rpn_head', None) is not None


def apply_proposals(model: AnyDetector, proposals: Proposals) -> None:
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
    candidate: Candidate, size: tuple[int, int], image: str | None, conditions: Conditions
) -> Runner:
    """Build the detector and put it where and how the conditions say."""
    torch.manual_seed(conditions.seed)
    model = place(candidate.build(size), conditions)
    if conditions.compile:
        model.backbone.compile()
    return Runner(model, conditions, size, image)


def make_call(
    candidate: Candidate,
    size: tuple[int, int],
    image: str | None,
    conditions: Conditions,
    batch: int,
    proposals: Proposals | None,
) -> Callable[[], object]:
    """What is timed, from scratch: for the process that measures the memory."""
    return make_runner(candidate, size, image, conditions).calls(batch, proposals)


def detections_per_image(outputs: list) -> float:
    """Mean number of boxes in what a detector returned."""
    counts = [len(o['boxes']) if isinstance(o, dict) else len(o.pred_instances) for o in outputs]
    return sum(counts) / len(counts)
