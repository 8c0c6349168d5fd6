"""``mmcv.ops`` through the stand-in, against naive loops; gradients in float64."""

import math
import sys
from functools import partial

import numpy as np
import pytest
import torch
from mmcv import ops
from torch import Tensor
from torch.autograd import gradcheck

from lighthead.compat import mmcv_ops
from lighthead.compat.operator_table import OPERATORS
from lighthead.errors import InstallError

stand_in = isinstance(sys.modules['mmcv._ext'], mmcv_ops.TorchvisionExtension)
pytestmark = pytest.mark.skipif(not stand_in, reason='a compiled mmcv serves here')


def random_boxes(count: int, size: float = 40.0, dtype: torch.dtype = torch.float32) -> Tensor:
    corner = torch.rand(count, 2, dtype=dtype) * size * 0.6
    return torch.cat([corner, corner + 2 + torch.rand(count, 2, dtype=dtype) * size * 0.4], dim=1)


def naive_iou(a: Tensor, b: Tensor) -> float:
    width = max(0.0, float(min(a[2], b[2]) - max(a[0], b[0])))
    height = max(0.0, float(min(a[3], b[3]) - max(a[1], b[1])))
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - width * height
    return float(width * height / union)


def by_falling_score(scores: Tensor) -> list[int]:
    return sorted(range(len(scores)), key=lambda i: -float(scores[i]))


def naive_nms_match(boxes: Tensor, scores: Tensor, threshold: float) -> list[list[int]]:
    rest, groups = by_falling_score(scores), []
    while rest:
        top = rest[0]
        group = [i for i in rest if i == top or naive_iou(boxes[top], boxes[i]) >= threshold]
        groups.append(group)
        rest = [i for i in rest if i not in group]
    return groups


def naive_soft_nms(
    boxes: Tensor, scores: Tensor, threshold: float, sigma: float, min_score: float, method: str
) -> list[tuple[int, float]]:
    left, kept = {i: float(score) for i, score in enumerate(scores)}, []
    while left:
        top = max(left, key=left.__getitem__)
        kept.append((top, left.pop(top)))
        for i in list(left):
            iou = naive_iou(boxes[top], boxes[i])
            if method == 'gaussian':
                left[i] *= math.exp(-(iou**2) / sigma)
            elif iou >= threshold:
                left[i] *= 1 - iou if method == 'linear' else 0
            if left[i] < min_score:
                del left[i]
    return kept


def bilinear(channel: Tensor, y: float, x: float) -> Tensor:
    """Value at (y, x), pixel centres at integers, zero outside of the map."""
    value = channel.new_zeros(())
    for row in (math.floor(y), math.floor(y) + 1):
        for column in (math.floor(x), math.floor(x) + 1):
            if 0 <= row < channel.size(0) and 0 <= column < channel.size(1):
                value = value + channel[row, column] * (1 - abs(y - row)) * (1 - abs(x - column))
    return value


def naive_roi_align(
    features: Tensor, rois: Tensor, size: int, scale: float, ratio: int, aligned: bool
) -> Tensor:
    """RoI align for boxes whose samples lie inside of the map."""
    out = features.new_zeros(len(rois), features.size(1), size, size)
    for k, (image, *box) in enumerate(rois.tolist()):
        x1, y1, x2, y2 = (side * scale - (0.5 if aligned else 0.0) for side in box)
        width, height = x2 - x1, y2 - y1
        if not aligned:
            width, height = max(width, 1.0), max(height, 1.0)
        samples_y = ratio or math.ceil(height / size)
        samples_x = ratio or math.ceil(width / size)
        for channel, by, bx in np.ndindex(features.size(1), size, size):
            total = features.new_zeros(())
            for iy, ix in np.ndindex(samples_y, samples_x):
                y = y1 + (by + (iy + 0.5) / samples_y) * height / size
                x = x1 + (bx + (ix + 0.5) / samples_x) * width / size
                total = total + bilinear(features[int(image), channel], y, x)
            out[k, channel, by, bx] = total / (samples_y * samples_x)
    return out


def naive_roi_pool(features: Tensor, rois: Tensor, size: int, scale: float) -> Tensor:
    out = features.new_zeros(len(rois), features.size(1), size, size)
    for k, (image, *box) in enumerate(rois.tolist()):
        x1, y1, x2, y2 = (math.floor(side * scale + 0.5) for side in box)
        width, height = max(x2 - x1 + 1, 1) / size, max(y2 - y1 + 1, 1) / size
        for by, bx in np.ndindex(size, size):
            rows = slice(y1 + math.floor(by * height), y1 + math.ceil((by + 1) * height))
            columns = slice(x1 + math.floor(bx * width), x1 + math.ceil((bx + 1) * width))
            out[k, :, by, bx] = features[int(image), :, rows, columns].amax((1, 2))
    return out


def naive_deform_conv(
    features: Tensor, offset: Tensor, mask: Tensor, weight: Tensor, stride: int, padding: int
) -> Tensor:
    """One group of channels and of offsets; offsets are (y, x) pairs per kernel cell."""
    kernel = weight.size(-1)
    out = features.new_zeros(len(features), len(weight), *offset.shape[2:])
    for b, o, oy, ox in np.ndindex(*out.shape):
        total = features.new_zeros(())
        for cell in range(kernel * kernel):
            dy, dx = offset[b, 2 * cell : 2 * cell + 2, oy, ox].tolist()
            y = oy * stride - padding + cell // kernel + dy
            x = ox * stride - padding + cell % kernel + dx
            for c in range(features.size(1)):
                value = bilinear(features[b, c], y, x) * mask[b, cell, oy, ox]
                total = total + value * weight[o, c, cell // kernel, cell % kernel]
        out[b, o, oy, ox] = total
    return out


def naive_focal_loss(logits: Tensor, target: Tensor, gamma: float, alpha: float) -> Tensor:
    out = torch.zeros_like(logits)
    for n, c in np.ndindex(*logits.shape):
        p = 1 / (1 + math.exp(-float(logits[n, c])))
        truth = int(target[n]) == c
        q, factor = (p, alpha) if truth else (1 - p, 1 - alpha)
        out[n, c] = -factor * (1 - q) ** gamma * math.log(q)
    return out


@pytest.mark.parametrize('threshold', [0.3, 0.7])
def test_nms(threshold):
    boxes, scores = random_boxes(60), torch.rand(60)
    kept = []
    for i in by_falling_score(scores):
        if all(naive_iou(boxes[k], boxes[i]) <= threshold for k in kept):
            kept.append(i)
    dets, indices = ops.nms(boxes, scores, threshold)
    assert indices.tolist() == kept
    assert torch.equal(dets, torch.cat([boxes[kept], scores[kept, None]], dim=1))
    first, _ = ops.nms(boxes.numpy(), scores.numpy(), threshold, max_num=3)
    assert np.array_equal(first, dets[:3].numpy())
    assert all(len(part) == 0 for part in ops.nms(boxes[:0], scores[:0], threshold))
    half, _ = ops.nms(boxes.half(), scores.half(), threshold)
    assert half.dtype == torch.float16


@pytest.mark.parametrize('split_thr', [10000, 10])
def test_batched_nms_suppresses_within_a_class_only(split_thr):
    boxes, scores, classes = random_boxes(60), torch.rand(60), torch.randint(3, (60,))
    kept = []
    for c in range(3):
        of_class = (classes == c).nonzero()[:, 0]
        groups = naive_nms_match(boxes[of_class], scores[of_class], 0.5)
        kept += [int(of_class[group[0]]) for group in groups]
    cfg = dict(type='nms', iou_threshold=0.5, split_thr=split_thr)
    dets, indices = ops.batched_nms(boxes, scores, classes, cfg)
    assert indices.tolist() == sorted(kept, key=lambda i: -float(scores[i]))
    assert torch.equal(dets[:, :4], boxes[indices])


@pytest.mark.parametrize('method', ['naive', 'linear', 'gaussian'])
def test_soft_nms(method):
    boxes, scores = random_boxes(40), torch.rand(40)
    expected = naive_soft_nms(boxes, scores, 0.4, 0.5, 0.05, method)
    dets, indices = ops.soft_nms(
        boxes, scores, iou_threshold=0.4, sigma=0.5, min_score=0.05, method=method
    )
    assert indices.tolist() == [i for i, _ in expected]
    torch.testing.assert_close(dets[:, 4], torch.tensor([score for _, score in expected]))
    assert torch.equal(dets[:, :4], boxes[indices])
    assert all(len(part) == 0 for part in ops.soft_nms(boxes[:0], scores[:0], method=method))


def test_nms_match():
    boxes, scores = random_boxes(40), torch.rand(40)
    groups = ops.nms_match(torch.cat([boxes, scores[:, None]], dim=1), 0.4)
    assert [group.tolist() for group in groups] == naive_nms_match(boxes, scores, 0.4)
    assert ops.nms_match(boxes.new_zeros(0, 5), 0.4) == []


@pytest.mark.parametrize('call', [ops.nms, ops.soft_nms])
def test_offset_1_is_refused(call):
    with pytest.raises(InstallError, match=r'nms with offset=1 .*compiled mmcv'):
        call(random_boxes(3), torch.rand(3), iou_threshold=0.5, offset=1)


def rois_inside(count: int, scale: float, dtype: torch.dtype = torch.float32) -> Tensor:
    """RoIs (K, 5) over a batch of two maps of 12 x 12 cells, off the border and the grid."""
    boxes = random_boxes(count, 9.0, dtype).clamp(max=9.8) + 1.03
    return torch.cat([torch.arange(count)[:, None] % 2, boxes / scale], dim=1)


@pytest.mark.parametrize('aligned', [True, False])
@pytest.mark.parametrize('ratio', [0, 2])
def test_roi_align(aligned, ratio):
    features, rois = torch.randn(2, 3, 12, 12), rois_inside(5, 0.25)
    layer = ops.RoIAlign(3, spatial_scale=0.25, sampling_ratio=ratio, aligned=aligned)
    expected = naive_roi_align(features, rois, 3, 0.25, ratio, aligned)
    torch.testing.assert_close(layer(features, rois), expected, atol=1e-5, rtol=1e-5)
    assert layer(features, rois[:0]).shape == (0, 3, 3, 3)


@pytest.mark.parametrize('aligned', [True, False])
def test_roi_align_gradient(aligned):
    features = torch.randn(2, 2, 12, 12, dtype=torch.float64, requires_grad=True)
    rois = rois_inside(3, 0.5, torch.float64)
    assert gradcheck(lambda x: ops.roi_align(x, rois, 2, 0.5, 2, 'avg', aligned), features)
    assert gradcheck(lambda x: ops.roi_align(x, rois[:0], 2, 0.5, 2, 'avg', aligned), features)


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_roi_align_of_half_precision_maps(dtype):
    features, rois = torch.randn(2, 3, 12, 12), rois_inside(5, 0.25)
    features = features.to(dtype).requires_grad_()
    out = ops.roi_align(features, rois, 3, 0.25, 2)
    out.sum().backward()
    assert out.dtype == features.grad.dtype == dtype
    expected = ops.roi_align(features.float(), rois, 3, 0.25, 2)
    torch.testing.assert_close(out.float(), expected, atol=2e-2, rtol=2e-2)


def test_roi_align_by_maximum_is_refused():
    with pytest.raises(InstallError, match=r'roi_align with pool_mode=.max.'):
        ops.roi_align(torch.zeros(2, 3, 12, 12), rois_inside(1, 1.0), 3, 1.0, 2, 'max')


def test_roi_pool():
    features, rois = torch.randn(2, 3, 12, 12), rois_inside(6, 0.25)
    layer = ops.RoIPool(3, spatial_scale=0.25)
    assert torch.equal(layer(features, rois), naive_roi_pool(features, rois, 3, 0.25))
    assert layer(features, rois[:0]).shape == (0, 3, 3, 3)


def test_roi_pool_gradient():
    values = torch.randperm(2 * 2 * 12 * 12, dtype=torch.float64)
    features = values.view(2, 2, 12, 12).requires_grad_()
    rois = rois_inside(3, 0.5, torch.float64)
    assert gradcheck(lambda x: ops.roi_pool(x, rois, 2, 0.5), features)


@pytest.mark.parametrize(('stride', 'padding'), [(1, 1), (2, 0)])
def test_deform_conv(stride, padding):
    layer = ops.DeformConv2d(3, 2, 3, stride=stride, padding=padding)
    features = torch.randn(2, 3, 7, 7)
    side = (7 + 2 * padding - 3) // stride + 1
    offset, mask = torch.randn(2, 18, side, side), torch.ones(2, 9, side, side)
    expected = naive_deform_conv(features, offset, mask, layer.weight, stride, padding)
    torch.testing.assert_close(layer(features, offset), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(('stride', 'padding'), [(1, 1), (2, 0)])
@pytest.mark.parametrize('bias', [True, False])
def test_modulated_deform_conv(stride, padding, bias):
    layer = ops.ModulatedDeformConv2d(3, 2, 3, stride=stride, padding=padding, bias=bias)
    features = torch.randn(2, 3, 7, 7)
    side = (7 + 2 * padding - 3) // stride + 1
    offset, mask = torch.randn(2, 18, side, side), torch.rand(2, 9, side, side)
    expected = naive_deform_conv(features, offset, mask, layer.weight, stride, padding)
    if bias:
        torch.nn.init.normal_(layer.bias)
        expected = expected + layer.bias[:, None, None]
    torch.testing.assert_close(layer(features, offset, mask), expected, atol=1e-4, rtol=1e-4)


def deform_inputs(kernel_cells: int, offset_groups: int, groups: int) -> list[Tensor]:
    """Map, offsets (kinks of the interpolation avoided), mask, weight, bias; float64."""
    offset = torch.randint(-1, 2, (2, 2 * kernel_cells * offset_groups, 3, 4)).double()
    return [
        torch.randn(2, 4, 4, 5, dtype=torch.float64).requires_grad_(),
        (offset + 0.2 + 0.6 * torch.rand_like(offset)).requires_grad_(),
        torch.rand(2, kernel_cells * offset_groups, 3, 4).double().requires_grad_(),
        torch.randn(4, 4 // groups, 2, 2, dtype=torch.float64).requires_grad_(),
        torch.randn(4, dtype=torch.float64).requires_grad_(),
    ]


@pytest.mark.parametrize(('groups', 'offset_groups'), [(1, 1), (2, 2)])
def test_deform_conv_gradients(groups, offset_groups):
    features, offset, mask, weight, bias = deform_inputs(4, offset_groups, groups)
    form = (1, 0, 1, groups, offset_groups)
    check = partial(gradcheck, fast_mode=True)
    assert check(lambda *x: ops.deform_conv2d(*x, *form), (features, offset, weight))
    modulated = (features, offset, mask, weight, bias)
    assert check(lambda *x: ops.modulated_deform_conv2d(*x, *form), modulated)
    without_bias = modulated[:4]
    assert check(lambda *x: ops.modulated_deform_conv2d(*x, None, *form), without_bias)


@pytest.mark.parametrize('gamma', [0.0, 1.5, 2.0])
def test_sigmoid_focal_loss(gamma):
    logits, target = torch.randn(9, 4) * 3, torch.randint(5, (9,))  # class 4 is the background
    expected = naive_focal_loss(logits, target, gamma, 0.25)
    loss = ops.sigmoid_focal_loss(logits, target, gamma, 0.25, None, 'none')
    torch.testing.assert_close(loss, expected)
    mean = ops.SigmoidFocalLoss(gamma, 0.25)(logits, target)
    torch.testing.assert_close(mean, expected.sum() / 9)
    weight = torch.rand(4)
    factor = torch.cat([weight, torch.ones(1)])[target][:, None]
    weighted = ops.sigmoid_focal_loss(logits, target, gamma, 0.25, weight, 'sum')
    torch.testing.assert_close(weighted, (expected * factor).sum())


@pytest.mark.parametrize('reduction', ['none', 'mean', 'sum'])
@pytest.mark.parametrize('weight', [None, torch.tensor([0.3, 2.0, 1.0], dtype=torch.float64)])
def test_sigmoid_focal_loss_gradient(reduction, weight):
    logits = (torch.randn(6, 3, dtype=torch.float64) * 3).requires_grad_()
    target = torch.tensor([0, 1, 2, 3, 3, 0])
    assert gradcheck(
        lambda x: ops.sigmoid_focal_loss(x, target, 2.0, 0.25, weight, reduction), logits
    )


def test_sigmoid_focal_loss_stays_finite_far_out():
    logits = torch.tensor([[200.0, -200.0]], requires_grad=True)
    ops.sigmoid_focal_loss(logits, torch.tensor([1]), 0.5, 0.25).backward()
    assert torch.isfinite(logits.grad).all()


def test_other_operators_name_themselves_and_the_way_out():
    with pytest.raises(InstallError, match=r'operator carafe_forward .*install a compiled mmcv'):
        ops.carafe(torch.zeros(1, 4, 4, 4), torch.zeros(1, 25, 8, 8), 5, 1, 2)
    with pytest.raises(InstallError, match='operator softmax_focal_loss_forward '):
        ops.softmax_focal_loss(torch.zeros(2, 3), torch.tensor([0, 1]), 2.0, 0.25)
    assert 'torchvision' in ops.get_compiler_version()


def test_every_operator_is_served():
    served = sys.modules['mmcv._ext']
    assert all(getattr(served, name) is function for name, function in OPERATORS.items())
    with pytest.raises(AttributeError):
        served.__path__  # noqa: B018


@pytest.mark.skipif(not torch.cuda.is_available(), reason='no CUDA device')
@pytest.mark.parametrize('name', ['roi_align', 'roi_pool', 'deform_conv', 'focal_loss'])
def test_cuda_equals_cpu(name):
    rois, target = rois_inside(5, 0.5), torch.randint(5, (9,))
    offset, weight = torch.randn(2, 18, 12, 12), torch.randn(4, 3, 3, 3)
    calls = {
        'roi_align': lambda x: ops.roi_align(x, rois.to(x), 3, 0.5, 2),
        'roi_pool': lambda x: ops.roi_pool(x, rois.to(x), 3, 0.5),
        'deform_conv': lambda x: ops.deform_conv2d(x, offset.to(x), weight.to(x), 1, 1),
        'focal_loss': lambda x: ops.sigmoid_focal_loss(x, target.to(x.device), 2.0, 0.25),
    }
    features = torch.randn(9, 4) if name == 'focal_loss' else torch.randn(2, 3, 12, 12)
    outcomes = []
    for device in ('cpu', 'cuda'):
        x = features.to(device).requires_grad_()
        out = calls[name](x)
        out.sum().backward()
        outcomes.append((out.detach().cpu(), x.grad.cpu()))
    torch.testing.assert_close(outcomes[0], outcomes[1], atol=1e-4, rtol=1e-4)
