"""NMS that stops early against a naive loop and against torchvision."""

import pytest
import torch
import torchvision
from torch import Tensor

from lighthead.ops import batched_nms_topk
from lighthead.ops.nms import _best_first


def clustered(count: int, objects: int, classes: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Boxes heaped on a few objects, scores with many ties, class ids."""
    generator = torch.Generator().manual_seed(seed)
    centre = torch.rand(objects, 2, generator=generator) * 800
    size = torch.rand(objects, 2, generator=generator) * 150 + 10
    which = torch.randint(objects, (count,), generator=generator)
    jitter = 1 + 0.15 * torch.randn(count, 4, generator=generator)
    middle = centre[which] + (jitter[:, :2] - 1) * size[which]
    half = size[which] * jitter[:, 2:].clamp(min=0.1) / 2
    scores = torch.rand(count, generator=generator).mul(200).round() / 200
    labels = torch.randint(classes, (count,), generator=generator)
    return torch.cat((middle - half, middle + half), dim=1), scores, labels


def naive(boxes: Tensor, scores: Tensor, labels: Tensor, threshold: float) -> list[int]:
    """Greedy suppression class by class, pair by pair, with Python's numbers."""
    kept: list[int] = []
    rows, classes = boxes.tolist(), labels.tolist()
    for index in sorted(range(len(rows)), key=lambda i: (-scores[i].item(), i)):
        rivals = (other for other in kept if classes[other] == classes[index])
        if all(iou(rows[index], rows[other]) <= threshold for other in rivals):
            kept.append(index)
    return kept


def iou(a: list[float], b: list[float]) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    shared = max(width, 0.0) * max(height, 0.0)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    return shared / (sum(areas) - shared)


@pytest.mark.parametrize('max_num', [0, 1, 5, 30, 1000])
@pytest.mark.parametrize(
    ('count', 'objects', 'classes', 'threshold'),
    [(400, 5, 1, 0.7), (400, 40, 3, 0.5), (400, 5, 300, 0.5), (50, 50, 80, 0.0), (1, 1, 1, 0.5)],
)
def test_equals_naive_per_class_loop(count, objects, classes, threshold, max_num):
    boxes, scores, labels = clustered(count, objects, classes, seed=count + classes)
    found = batched_nms_topk(boxes, scores, labels, threshold, max_num)
    assert found.tolist() == naive(boxes, scores, labels, threshold)[:max_num]


@pytest.mark.parametrize('max_num', [1, 10, 100, 5000])
@pytest.mark.parametrize(('objects', 'classes'), [(3, 80), (60, 80), (60, 1)])
def test_equals_torchvision(objects, classes, max_num):
    boxes, _, labels = clustered(4000, objects, classes, seed=objects)
    scores = torch.rand(4000, generator=torch.Generator().manual_seed(1))
    expected = torchvision.ops.batched_nms(boxes, scores, labels, 0.5)[:max_num]
    assert torch.equal(batched_nms_topk(boxes, scores, labels, 0.5, max_num), expected)


@pytest.mark.parametrize('max_num', [1, 50, 1000])
def test_without_labels_equals_torchvision_nms(max_num):
    boxes, _, _ = clustered(3000, 200, 1, seed=7)
    scores = torch.randn(3000, generator=torch.Generator().manual_seed(2))
    expected = torchvision.ops.nms(boxes, scores, 0.7)[:max_num]
    assert torch.equal(batched_nms_topk(boxes, scores, None, 0.7, max_num), expected)


@pytest.mark.parametrize('offset', [0.0, 5e4, -5e4])
def test_large_coordinates_and_many_classes(offset):
    """In float32, an offset per class would round these boxes to whole pixels or worse."""
    boxes, scores, labels = clustered(500, 4, 500, seed=11)
    boxes, scores = boxes.double().add(offset).float(), torch.linspace(1, 0, 500)
    labels = labels % 2 * 498 + 1
    found = batched_nms_topk(boxes, scores, labels, 0.5, 500)
    assert found.tolist() == naive(boxes, scores, labels, 0.5)


def test_iou_at_the_threshold_is_kept():
    boxes = torch.tensor([[0, 0, 10, 10], [0, 0, 10, 5.0], [0, 0, 10, 5.001]])
    found = batched_nms_topk(boxes, torch.tensor([0.9, 0.8, 0.7]), torch.zeros(3).long(), 0.5, 9)
    assert found.tolist() == [0, 1]


@pytest.mark.parametrize('with_labels', [False, True])
def test_equal_scores_go_by_index(with_labels):
    boxes = torch.tensor([[0, 0, 10, 10.0]]).repeat(3000, 1)
    boxes[:, 0::2] += 20 * (torch.arange(3000) // 2)[:, None]
    labels = torch.zeros(3000, dtype=torch.long) if with_labels else None
    found = batched_nms_topk(boxes, torch.full((3000,), 0.25), labels, 0.5, 40)
    assert found.tolist() == list(range(0, 80, 2))


def test_all_boxes_in_one_place():
    boxes = torch.tensor([[5, 5, 60, 70.0]]).repeat(5000, 1)
    scores = torch.rand(5000, generator=torch.Generator().manual_seed(0))
    assert batched_nms_topk(boxes, scores, None, 0.5, 100).tolist() == [scores.argmax().item()]


def test_boxes_without_area_do_not_suppress():
    boxes = torch.tensor([[5, 5, 5, 5.0]]).repeat(3, 1)
    labels = torch.zeros(3, dtype=torch.long)
    assert batched_nms_topk(boxes, torch.ones(3), labels, 0.5, 10).tolist() == [0, 1, 2]


@pytest.mark.parametrize('labels', [None, torch.zeros(0, dtype=torch.long)])
def test_no_boxes(labels):
    found = batched_nms_topk(torch.zeros(0, 4), torch.zeros(0), labels, 0.5, 10)
    assert found.shape == (0,)
    assert found.dtype == torch.long


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
@pytest.mark.parametrize('with_labels', [False, True])
def test_half_types_give_the_answer_of_their_values(dtype, with_labels):
    boxes, scores, labels = clustered(300, 10, 4, seed=5)
    boxes, scores = boxes.to(dtype), scores.to(dtype)
    given = labels if with_labels else None
    expected = naive(boxes.float(), scores.float(), labels if with_labels else labels * 0, 0.5)
    assert batched_nms_topk(boxes, scores, given, 0.5, 300).tolist() == expected


@pytest.mark.parametrize('count', [1, 10, 400, 4000])
def test_best_first_is_the_beginning_of_a_stable_sort(count):
    scores = torch.randint(30, (4000,), generator=torch.Generator().manual_seed(0)).float()
    expected = scores.sort(descending=True, stable=True).indices
    found = _best_first(scores, count)
    assert len(found) >= count
    assert torch.equal(found, expected[: len(found)])
