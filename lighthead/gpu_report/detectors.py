"""Detectors with random weights, on a device eagerly, with fixed sizes, and from CUDA graphs."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from mmdet.models.detectors import BaseDetector
from torch import Tensor, nn
from torchvision.models import detection
from torchvision.ops import box_iou

from lighthead.deploy.cuda_graph import CudaGraphRecorder, Recording
from lighthead.deploy.eager_suppression import eager_detector
from lighthead.deploy.precision import PRECISIONS, tf32
from lighthead.inference.runtimes.backend import RawDetections
from lighthead.inference.runtimes.torch_backend import EagerBackend, RecordedBackend, to_arrays
from lighthead.speed.detectors.build import PADDING, build_mmdet_detector

WIDTHS = {
    # width: config, the paper's images/s at batch 4 (Table 7, ShuffleNet v2*)
    '0.5x': ('lighthead_shufflev2star_x0_5', 183),
    '1.0x': ('lighthead_shufflev2star', 138),
    '1.5x': ('lighthead_shufflev2star_x1_5', 105),
    '2.0x': ('lighthead_shufflev2star_x2_0', 83),
}
RIVAL = 'fasterrcnn_mobilenet_v3_large_fpn'
LEAST_SCORE = 0.05
SAME_BOX = 0.9
"""IoU from which two boxes of one class are the same detection."""


def random_detector(width: str, seed: int = 0) -> BaseDetector:
    """A detector whose random weights give scores that differ from box to box."""
    torch.manual_seed(seed)
    model = build_mmdet_detector(WIDTHS[width][0])
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.get_buffer('running_mean').normal_(std=0.2)
            module.get_buffer('running_var').uniform_(0.7, 1.4)
            nn.init.uniform_(module.weight, 1.5, 2.5)
            nn.init.normal_(module.bias, std=0.1)
    head = model.roi_head.bbox_head
    nn.init.normal_(model.rpn_head.rpn_cls.weight, std=0.1)
    nn.init.normal_(head.fc_cls.weight, std=0.3)
    nn.init.normal_(head.fc_reg.weight, std=0.02)
    return model.eval()


def padded(sides: tuple[int, int]) -> tuple[int, int]:
    """Height and width as the detectors pad them, to multiples of 32."""
    height, width = (-(-side // PADDING) * PADDING for side in sides)
    return height, width


def random_batches(count: int, sides: tuple[int, int], seed: int = 0) -> Iterator[Tensor]:
    """Normalised images (1, 3, H, W) with structure: of these sides, narrower, and upright."""
    rng = np.random.default_rng(seed)
    height, width = padded(sides)
    sizes = ((height, width), (height, width - 4 * PADDING), (width, height))
    for index in range(count):
        height, width = sizes[index % 3]
        image = np.zeros((height, width, 3), np.float32)
        for cells in (4, 16, 64):
            noise = rng.normal(0, 1, (cells, cells, 3)).astype(np.float32)
            image += cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)
        yield torch.from_numpy(image).permute(2, 0, 1)[None].contiguous()


class DirectCalls:
    """A recorder that records nothing: each replay calls the function, on every device."""

    def active(self) -> AbstractContextManager[None]:
        """See :class:`lighthead.deploy.cuda_graph.Recorder`."""
        return nullcontext()

    def record(self, function: Callable[..., Tensor], inputs: tuple[Tensor, ...]) -> Recording:
        """See :class:`lighthead.deploy.cuda_graph.Recorder`."""
        inputs = tuple(values.clone() for values in inputs)
        output = function(*inputs)
        return Recording(lambda: output.copy_(function(*inputs)), inputs, output)


def backend_of(
    kind: str, model: BaseDetector, device: torch.device, precision: str
) -> EagerBackend | RecordedBackend:
    """A backend: ``eager``, ``graph``, or ``fixed sizes``: what a graph records, just called."""
    if kind == 'eager':
        return EagerBackend(model, device, precision)
    recorder = CudaGraphRecorder(device) if kind == 'graph' else DirectCalls()
    return RecordedBackend(model, device, precision, recorder)


@dataclass
class Agreement:
    """Detections of the reference with a score, how many of them came again, and how near."""

    images: int = 0
    total: int = 0
    matched: int = 0
    score_difference: float = 0.0

    def add(self, reference: RawDetections, other: RawDetections) -> None:
        """Count an image: detections of one class with an IoU of at least 0.9 are the same."""
        self.images += 1
        kept = reference.scores >= LEAST_SCORE
        self.total += int(kept.sum())
        if not kept.any() or not len(other.boxes):
            return
        overlap = box_iou(torch.from_numpy(reference.boxes[kept]), torch.from_numpy(other.boxes))
        same = torch.from_numpy(reference.labels[kept][:, None] == other.labels[None])
        best, index = overlap.where(same, 0).max(1)
        found = (best >= SAME_BOX).numpy()
        self.matched += int(found.sum())
        difference = np.abs(reference.scores[kept] - other.scores[index.numpy()])[found]
        self.score_difference = max(self.score_difference, float(difference.max(initial=0)))


def eager_reference(model: BaseDetector) -> Callable[[Tensor], list[RawDetections]]:
    """Exact float32 on the CPU."""
    stages = eager_detector(model).eval()

    @torch.inference_mode()
    def detect(batch: Tensor) -> list[RawDetections]:
        size = torch.tensor([batch.shape[2:]], dtype=torch.float32)
        return to_arrays(stages(batch, size))

    return detect


def rival_call(
    batch: int, sides: tuple[int, int], device: torch.device, precision: str
) -> Callable[[], object]:
    """torchvision's detector with random weights, on a batch that is on the device."""
    torch.manual_seed(0)
    build = getattr(detection, RIVAL)
    model = build(weights=None, weights_backbone=None, min_size=min(sides), max_size=max(sides))
    model = model.eval().to(device)
    images = [torch.rand(3, *sides, device=device) for _ in range(batch)]
    dtype = PRECISIONS[precision]
    half = dtype is not torch.float32

    @torch.inference_mode()
    def call() -> list:
        autocast = torch.autocast(device.type, dtype if half else None, enabled=half)
        with autocast, tf32(precision == 'tf32'):
            outputs = model(images)
        return [{name: values.cpu() for name, values in one.items()} for one in outputs]

    return call


def own_call(
    model: BaseDetector,
    batch: int,
    sides: tuple[int, int],
    device: torch.device,
    precision: str,
) -> Callable[[], object]:
    """The fast path on a normalised batch that is on the device, to boxes on the host."""
    kind = 'graph' if device.type == 'cuda' else 'eager'
    backend = backend_of(kind, model, device, precision)
    images = torch.randn(batch, 3, *padded(sides), device=device)
    return lambda: backend(images, [sides] * batch)
