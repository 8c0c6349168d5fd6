"""PS-RoI align and suppression against torchvision's kernels: inputs and competitors.

Maps are those of an 800x1200 image at strides 16 (50x76 after padding) and 32 (25x38), 490
channels, 10 per bin; K = 1000 RoIs as in testing and 4000 as in training with two images.
torchvision has no maximum: it is timed next to its average. RoIs are random, sides 16 to 512
px, clipped. Suppression: 6000 proposals to at most 1000 at IoU 0.7; and 1000 RoIs with 80
class scores each, without a score threshold, to at most 100 at IoU 0.5 within each class.
Boxes are heaped on a number of random objects, since how many survive decides the work;
torchvision computes all survivors, of which the first ones are taken; the fixed one is what
CUDA graphs record.
"""

from collections.abc import Callable, Iterator
from functools import partial

import torch
import torchvision
from torch import Tensor

from lighthead.ops import batched_nms_topk, ps_roi_align
from lighthead.ops.fixed_nms import fixed_nms
from lighthead.speed.harness.timer import Workload

BINS = 7
CHANNELS = 10 * BINS * BINS
MAPS = ((50, 76, 16), (25, 38, 32))
"""Height, width, stride."""
COUNTS = (1000, 4000)
CLASSES = 80

Group = tuple[str, list[Workload]]
"""What is timed, and the competitors, torchvision's first."""


def make_rois(count: int, height: int, width: int) -> Tensor:
    """Random RoIs (count, 5) in an image of that size."""
    limit = torch.tensor([width, height], dtype=torch.float32)
    centre = torch.rand(count, 2) * limit
    half = 8 * 32 ** torch.rand(count, 2)
    low, high = (centre - half).clamp(min=0), torch.minimum(centre + half, limit)
    return torch.cat((torch.zeros(count, 1), low, high), dim=1)


def poolings(rois: Tensor, scale: float) -> dict[str, Callable[[Tensor], Tensor]]:
    """The competitors, from a map to the pooled features (K, 10, 7, 7)."""
    return {
        'torchvision avg': lambda x: torchvision.ops.ps_roi_align(x, rois, BINS, scale, 2),
        'lighthead avg': lambda x: ps_roi_align(x, rois, BINS, scale, 2, 'avg'),
        'lighthead max': lambda x: ps_roi_align(x, rois, BINS, scale, 2, 'max'),
    }


def _forward(operator: Callable[[Tensor], Tensor], features: Tensor) -> Callable[[], Tensor]:
    @torch.inference_mode()
    def call() -> Tensor:
        return operator(features)

    return call


def _forward_backward(operator: Callable, features: Tensor, grad: Tensor) -> Callable:
    features = features.clone().requires_grad_()
    return lambda: torch.autograd.grad(operator(features), features, grad)


def pooling_groups(device: torch.device) -> Iterator[Group]:
    """Every map and number of RoIs, forward and with the gradient of the map."""
    for height, width, stride in MAPS:
        features = torch.randn(1, CHANNELS, height, width).to(device)
        for count in COUNTS:
            rois = make_rois(count, height * stride, width * stride).to(device)
            grad = torch.randn(count, CHANNELS // BINS**2, BINS, BINS).to(device)
            both = poolings(rois, 1 / stride).items()
            case = f'PS-RoI align {CHANNELS}x{height}x{width}, {count} RoIs'
            yield f'{case}: forward', [Workload(k, _forward(op, features)) for k, op in both]
            back = [Workload(k, _forward_backward(op, features, grad)) for k, op in both]
            yield f'{case}: forward + backward', back


def heaped_boxes(count: int, objects: int) -> tuple[Tensor, Tensor]:
    """Boxes (count, 4) in an 800x1200 image, and which object each belongs to."""
    centre = torch.rand(objects, 2) * torch.tensor([1200.0, 800.0])
    size = 24 * torch.exp(2.5 * torch.rand(objects, 2))
    which = torch.randint(objects, (count,))
    middle = centre[which] + 0.12 * size[which] * torch.randn(count, 2)
    half = size[which] * torch.exp(0.12 * torch.randn(count, 2)) / 2
    return torch.cat((middle - half, middle + half), dim=1), which


def proposals(objects: int) -> tuple[Tensor, Tensor]:
    """Boxes (6000, 4) and scores (6000,) as an RPN gives them."""
    boxes, which = heaped_boxes(6000, objects)
    return boxes, 0.3 * torch.rand(len(boxes)) + torch.rand(objects)[which]


def candidates(objects: int) -> tuple[Tensor, Tensor, Tensor]:
    """Boxes (80000, 4), scores and labels (80000,) of 1000 class-agnostic RoIs."""
    boxes, which = heaped_boxes(1000, objects)
    logits = torch.randn(len(boxes), CLASSES)
    logits[torch.arange(len(boxes)), torch.randint(CLASSES, (objects,))[which]] += 6
    labels = torch.arange(CLASSES).repeat(len(boxes))
    return boxes.repeat_interleave(CLASSES, 0), logits.softmax(1).flatten(), labels


def torchvision_nms(
    boxes: Tensor, scores: Tensor, labels: Tensor | None, iou_threshold: float, max_num: int
) -> Tensor:
    """All survivors, then the first ones."""
    if labels is None:
        return torchvision.ops.nms(boxes, scores, iou_threshold)[:max_num]
    return torchvision.ops.batched_nms(boxes, scores, labels, iou_threshold)[:max_num]


def suppression_groups(device: torch.device) -> Iterator[Group]:
    """Both suppressions at several densities."""
    for objects in (100, 1000):
        boxes, scores = proposals(objects)
        inputs = (boxes.to(device), scores.to(device), None, 0.7, 1000)
        yield _suppression(f'suppression of proposals, {objects} objects', inputs)
    for objects in (10, 50):
        tensors = (values.to(device) for values in candidates(objects))
        yield _suppression(f'suppression of detections, {objects} objects', (*tensors, 0.5, 100))


def _suppression(case: str, inputs: tuple) -> Group:
    competitors = {'torchvision': torchvision_nms, 'lighthead': batched_nms_topk}
    works = [Workload(key, partial(op, *inputs)) for key, op in competitors.items()]
    boxes, scores, labels, iou_threshold, _ = inputs
    if labels is None:  # of proposals; graphs suppress fewer detections than these
        ordered = boxes[scores.argsort(descending=True)][None]
        valid = torch.ones_like(ordered[..., 0], dtype=torch.bool)
        works.append(Workload('lighthead fixed', partial(fixed_nms, ordered, valid, iou_threshold)))
    return case, works
