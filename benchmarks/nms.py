"""NMS that stops when it has enough, against torchvision's, in one run.

Measured per call, in float32, from boxes and scores to the indices kept:

- RPN: 6000 proposals to at most 1000 at IoU 0.7, one class;
- detections: 1000 RoIs with 80 class scores each, no score threshold, so
  80,000 candidates, to at most 100 at IoU 0.5 within each class.

Boxes are heaped on a number of random objects, since how many survive decides
the work. torchvision computes all survivors; the first ones are then taken.

    python benchmarks/nms.py --threads 2
"""

from functools import partial

import torch
import torchvision
from op_benchmark import make_parser, run_groups
from torch import Tensor

from lighthead.ops import batched_nms_topk
from lighthead.speed.harness.timer import Workload

CLASSES = 80


def heaped_boxes(count: int, objects: int) -> tuple[Tensor, Tensor]:
    """Boxes (count, 4) in an 800x1200 image, and which object each belongs to."""
    centre = torch.rand(objects, 2) * torch.tensor([1200.0, 800.0])
    size = 24 * torch.exp(2.5 * torch.rand(objects, 2))
    which = torch.randint(objects, (count,))
    middle = centre[which] + 0.12 * size[which] * torch.randn(count, 2)
    half = size[which] * torch.exp(0.12 * torch.randn(count, 2)) / 2
    return torch.cat((middle - half, middle + half), dim=1), which


def proposals(objects: int, device: str) -> tuple[Tensor, Tensor]:
    """Boxes (6000, 4) and scores (6000,) as an RPN gives them."""
    boxes, which = heaped_boxes(6000, objects)
    scores = 0.3 * torch.rand(len(boxes)) + torch.rand(objects)[which]
    return boxes.to(device), scores.to(device)


def candidates(objects: int, device: str) -> tuple[Tensor, Tensor, Tensor]:
    """Boxes (80000, 4), scores and labels (80000,) of 1000 class-agnostic RoIs."""
    boxes, which = heaped_boxes(1000, objects)
    logits = torch.randn(len(boxes), CLASSES)
    logits[torch.arange(len(boxes)), torch.randint(CLASSES, (objects,))[which]] += 6
    scores = logits.softmax(1).flatten()
    labels = torch.arange(CLASSES).repeat(len(boxes))
    return boxes.repeat_interleave(CLASSES, 0).to(device), scores.to(device), labels.to(device)


def torchvision_nms(boxes, scores, labels, iou_threshold: float, max_num: int) -> Tensor:
    """All survivors, then the first ones."""
    if labels is None:
        return torchvision.ops.nms(boxes, scores, iou_threshold)[:max_num]
    return torchvision.ops.batched_nms(boxes, scores, labels, iou_threshold)[:max_num]


def main() -> None:
    """Measure both uses at several densities and print the table."""
    args = make_parser(__doc__).parse_args()
    torch.manual_seed(args.seed)
    cases = []
    for objects in (100, 1000):
        boxes, scores = proposals(objects, args.device)
        cases.append((f'RPN, {objects} objects', (boxes, scores, None, 0.7, 1000)))
    for objects in (10, 50):
        inputs = candidates(objects, args.device)
        cases.append((f'detections, {objects} objects', (*inputs, 0.5, 100)))
    operators = {'torchvision': torchvision_nms, 'ours': batched_nms_topk}
    groups = [
        (case, [Workload(key, partial(op, *inputs)) for key, op in operators.items()])
        for case, inputs in cases
    ]
    run_groups(groups, args, 'NMS')


if __name__ == '__main__':
    main()
