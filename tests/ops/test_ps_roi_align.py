"""PS-RoI align against torchvision's kernel and against naive loops."""

import math

import pytest
import torch
import torchvision
from torch import Tensor

from lighthead.ops import PSRoIAlign, ps_roi_align
from lighthead.ops.ps_roi_align import _torchvision_avg

MODES = ('avg', 'max')
ODD_BOXES = (
    (-40, -30, -20, -10),  # left of and above the image
    (300, 300, 400, 500),  # right of and below it
    (-50, -60, 500, 400),  # larger than the image
    (-9, -9, 4, 5),  # across a corner
    (0, 0, 96, 80),  # exactly the image
    (96, 80, 96, 80),  # a point on the far corner
    (16, 16, 16, 16),  # a point on a pixel
    (30.2, 20.7, 30.3, 20.8),  # far smaller than a pixel
    (40, 30, 20, 10),  # inverted
    (40, 10, 20, 30),  # inverted along x only
    (10, 20, 10, 60),  # no width
)


def make_map(batch: int, channels: int, height: int, width: int, **kind) -> Tensor:
    generator = torch.Generator().manual_seed(height * width + channels)
    return torch.randn(batch, channels, height, width, generator=generator).to(**kind)


def make_rois(count: int, batch: int, height: float, width: float, seed: int = 0) -> Tensor:
    """Boxes of all sizes, some partly outside an image of that height and width."""
    generator = torch.Generator().manual_seed(seed)
    scale = torch.tensor([width, height])
    first = (torch.rand(count, 2, generator=generator) * 1.4 - 0.3) * scale
    size = torch.rand(count, 2, generator=generator) ** 2 * scale
    image = torch.randint(batch, (count, 1), generator=generator)
    return torch.cat((image, first, first + size), dim=1)


def odd_rois(batch: int = 1) -> Tensor:
    boxes = torch.tensor(ODD_BOXES, dtype=torch.float32)
    return torch.cat(((torch.arange(len(boxes)) % batch)[:, None], boxes), dim=1)


def naive(features: Tensor, rois: Tensor, bins, scale: float, s: int, mode: str) -> Tensor:
    """The definition in the docstring, number by number, in float64."""
    ph, pw = bins
    channels = features.shape[1] // (ph * pw)
    planes = features.double().tolist()
    out = torch.zeros(len(rois), channels, ph, pw, dtype=torch.float64)
    read = read_clamped if mode == 'avg' else read_zero_padded
    for k, (image, *box) in enumerate(rois.double().tolist()):
        x1, y1, x2, y2 = (value * scale - (0.5 if mode == 'avg' else 0) for value in box)
        width, height = x2 - x1, y2 - y1
        if mode == 'max':
            width, height = max(width, 0), max(height, 0)
        for c in range(channels):
            for i in range(ph):
                for j in range(pw):
                    plane = planes[int(image)][(c * ph + i) * pw + j]
                    samples = [
                        read(
                            plane,
                            y1 + (i + (m + 0.5) / s) * height / ph,
                            x1 + (j + (n + 0.5) / s) * width / pw,
                        )
                        for m in range(s)
                        for n in range(s)
                    ]
                    out[k, c, i, j] = sum(samples) / s**2 if mode == 'avg' else max(samples)
    return out


def read_clamped(plane: list[list[float]], y: float, x: float) -> float:
    height, width = len(plane), len(plane[0])
    if y < -1 or y > height or x < -1 or x > width:
        return 0.0
    y, x = min(max(y, 0), height - 1), min(max(x, 0), width - 1)
    return read_zero_padded(plane, y, x)


def read_zero_padded(plane: list[list[float]], y: float, x: float) -> float:
    height, width = len(plane), len(plane[0])
    total = 0.0
    for row in (math.floor(y), math.floor(y) + 1):
        for column in (math.floor(x), math.floor(x) + 1):
            if 0 <= row < height and 0 <= column < width:
                total += (1 - abs(y - row)) * (1 - abs(x - column)) * plane[row][column]
    return total


@pytest.mark.parametrize('mode', MODES)
@pytest.mark.parametrize(
    ('bins', 'channels', 'shape', 'scale', 's'),
    [
        ((7, 7), 2, (5, 6), 1 / 16, 2),
        ((3, 2), 3, (5, 6), 1 / 16, 2),
        ((2, 3), 1, (9, 4), 1 / 8, 1),
        ((2, 2), 2, (5, 6), 0.3, 3),
        ((1, 1), 4, (5, 6), 1 / 16, 2),
        ((2, 2), 1, (1, 1), 1 / 16, 2),
    ],
)
def test_equals_naive_loop(mode, bins, channels, shape, scale, s):
    features = make_map(2, channels * bins[0] * bins[1], *shape)
    rois = torch.cat((odd_rois(2), make_rois(12, 2, shape[0] / scale, shape[1] / scale)))
    found = ps_roi_align(features, rois, bins, scale, s, mode)
    expected = naive(features, rois, bins, scale, s, mode)
    assert found.shape == (len(rois), channels, *bins)
    torch.testing.assert_close(found.double(), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize('kernel', [ps_roi_align, _torchvision_avg])
@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
@pytest.mark.parametrize(
    ('bins', 'channels', 'batch', 'shape', 'scale', 's'),
    [
        ((7, 7), 10, 1, (50, 76), 1 / 16, 2),
        ((7, 7), 10, 3, (25, 38), 1 / 32, 2),
        ((7, 7), 1, 2, (2, 3), 1 / 32, 2),
        ((3, 5), 4, 2, (13, 11), 1 / 8, 1),
        ((5, 3), 4, 2, (13, 11), 0.37, 3),
        ((1, 1), 3, 2, (13, 11), 1.0, 2),
    ],
)
def test_avg_and_its_gradient_equal_torchvision(
    kernel, dtype, bins, channels, batch, shape, scale, s
):
    features = make_map(batch, channels * bins[0] * bins[1], *shape, dtype=dtype)
    rois = make_rois(150, batch, shape[0] / scale, shape[1] / scale)
    rois = torch.cat((odd_rois(batch), rois)).to(dtype)
    ours, theirs = features.clone().requires_grad_(), features.clone().requires_grad_()
    found = kernel(ours, rois, bins, scale, s)
    expected = torchvision.ops.ps_roi_align(theirs, rois, bins, scale, s)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)
    direction = torch.randn_like(expected)
    found.backward(direction)
    expected.backward(direction)
    torch.testing.assert_close(ours.grad, theirs.grad, atol=1e-3, rtol=1e-4)


def test_avg_equals_torchvision_on_borders():
    """Samples just within and just beyond the last pixel that counts."""
    edges = [-1.5, -1.0, -0.5, 0.0, 0.5, 3.0, 3.5, 4.0, 4.5, 5.0, 5.5, 6.0]
    edges = torch.tensor([edge + step for edge in edges for step in (-1e-3, 0.0, 1e-3)])
    boxes = torch.cartesian_prod(edges, edges).repeat(1, 2)
    rois = torch.cat((torch.zeros(len(boxes), 1), boxes), dim=1)
    features = make_map(1, 4, 4, 5)
    found = ps_roi_align(features, rois, 2)
    torch.testing.assert_close(found, torchvision.ops.ps_roi_align(features, rois, 2, 1.0, 2))


@pytest.mark.parametrize('mode', MODES)
@pytest.mark.parametrize('s', [1, 2])
def test_gradcheck(mode, s):
    # No box of zero size: its equal samples would be ties, where a maximum has no slope.
    features = make_map(2, 2 * 3 * 2, 5, 6, dtype=torch.float64).requires_grad_()
    rois = make_rois(6, 2, 80, 96, seed=3).double()
    rois = torch.cat((rois, torch.tensor([[1, -9, -7, 33, 45], [0, 3, 5, 91, 77.0]])))
    assert torch.autograd.gradcheck(
        lambda x: ps_roi_align(x, rois, (3, 2), 1 / 16, s, mode), (features,)
    )


def test_max_gradient_goes_to_the_first_of_equal_samples():
    features = torch.ones(1, 1, 9, 9, requires_grad=True)
    rois = torch.tensor([[0, 1.0, 1.0, 5.0, 5.0]])
    ps_roi_align(features, rois, 1, mode='max').backward(torch.ones(1, 1, 1, 1))
    expected = torch.zeros(1, 1, 9, 9)
    expected[0, 0, 2, 2] = 1
    torch.testing.assert_close(features.grad, expected)


def test_rois_get_no_gradient():
    features, rois = make_map(1, 4, 5, 6), make_rois(3, 1, 5, 6).requires_grad_()
    assert not ps_roi_align(features, rois, 2).requires_grad


@pytest.mark.parametrize('mode', MODES)
def test_no_rois_keep_the_graph(mode):
    features = make_map(2, 98, 5, 6).requires_grad_()
    pooled = ps_roi_align(features, torch.zeros(0, 5), mode=mode)
    assert pooled.shape == (0, 2, 7, 7)
    pooled.sum().backward()
    assert features.grad.abs().sum() == 0


@pytest.mark.parametrize('mode', MODES)
def test_boxes_far_outside_give_zero(mode):
    features = make_map(1, 8, 5, 6) + 10
    rois = torch.tensor(
        [[0, -900, -900, -500, -500], [0, 900, 900, 1200, 1e9], [0, 1e30, 0, 2e30, 9]]
    )
    assert ps_roi_align(features, rois, 2, 1 / 16, mode=mode).abs().max() == 0


@pytest.mark.parametrize('mode', MODES)
def test_not_a_number_in_a_box_gives_zero(mode):
    rois = torch.tensor([[0, float('nan'), 0, 9, 9], [0, 0, 0, float('inf'), 9]])
    pooled = ps_roi_align(make_map(1, 4, 5, 6) + 10, rois, 2, mode=mode)
    assert pooled[0].abs().max() == 0
    assert pooled.isfinite().all()


@pytest.mark.parametrize('mode', MODES)
def test_each_roi_reads_its_own_image(mode):
    features, rois = make_map(3, 18, 7, 8), make_rois(30, 3, 112, 128)
    pooled = ps_roi_align(features, rois, 3, 1 / 16, mode=mode)
    for image in range(3):
        chosen = rois[:, 0] == image
        alone = rois[chosen] * torch.tensor([0, 1, 1, 1, 1])
        expected = ps_roi_align(features[image : image + 1], alone, 3, 1 / 16, mode=mode)
        torch.testing.assert_close(pooled[chosen], expected)


@pytest.mark.parametrize('mode', MODES)
@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
@pytest.mark.parametrize('autocast', [False, True])
def test_half_maps_lose_only_their_rounding(mode, dtype, autocast):
    half = make_map(2, 98, 9, 11).to(dtype).requires_grad_()
    full = half.detach().float().requires_grad_()
    rois = make_rois(40, 2, 144, 176)
    with torch.autocast('cpu', dtype, enabled=autocast):
        found = ps_roi_align(half, rois, 7, 1 / 16, mode=mode)
    expected = ps_roi_align(full, rois, 7, 1 / 16, mode=mode)
    assert found.dtype == dtype
    torch.testing.assert_close(found, expected.to(dtype))
    direction = torch.randn(expected.shape).to(dtype)
    found.backward(direction)
    expected.backward(direction.float())
    assert half.grad.dtype == dtype
    torch.testing.assert_close(half.grad, full.grad.to(dtype))


def test_avg_on_a_gpu_takes_half_maps_too():
    features, rois = make_map(1, 98, 9, 11).bfloat16(), make_rois(20, 1, 144, 176)
    found = _torchvision_avg(features, rois, (7, 7), 1 / 16, 2)
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found, ps_roi_align(features, rois, 7, 1 / 16))


@pytest.mark.parametrize('mode', MODES)
@pytest.mark.parametrize('layout', ['channels_last', 'slice', 'transposed'])
def test_memory_formats(mode, layout):
    features, rois = make_map(2, 98, 8, 8), make_rois(20, 2, 128, 128)
    expected = ps_roi_align(features, rois, 7, 1 / 16, mode=mode)
    if layout == 'channels_last':
        features = features.to(memory_format=torch.channels_last)
    elif layout == 'slice':
        features = torch.cat((features, features), dim=3)[..., 8:]
    else:
        features = features.transpose(2, 3).contiguous().transpose(2, 3)
    wide = torch.cat((rois, rois), dim=1)[:, :5]
    assert torch.equal(ps_roi_align(features, wide, 7, 1 / 16, mode=mode), expected)


@pytest.mark.parametrize('mode', MODES)
def test_same_bits_in_every_run(mode):
    features, rois = make_map(1, 98, 20, 30).requires_grad_(), make_rois(300, 1, 320, 480)
    gradients = []
    for _ in range(2):
        features.grad = None
        ps_roi_align(features, rois, 7, 1 / 16, mode=mode).square().sum().backward()
        gradients.append(features.grad)
    assert torch.equal(*gradients)


def test_module_has_what_mmdet_extractors_read():
    layer = PSRoIAlign(7, spatial_scale=1 / 16, sampling_ratio=2, mode='max')
    features, rois = make_map(1, 98, 9, 11), make_rois(5, 1, 144, 176)
    assert layer.output_size == (7, 7)
    assert "mode='max'" in repr(layer)
    assert torch.equal(layer(features, rois), ps_roi_align(features, rois, 7, 1 / 16, mode='max'))


@pytest.mark.parametrize('mode', MODES)
def test_exports_with_any_number_of_rois(mode):
    layer = PSRoIAlign((3, 3), 1 / 16, mode=mode)
    count = torch.export.Dim('count', min=2, max=5000)
    program = torch.export.export(
        layer, (make_map(1, 18, 7, 8), make_rois(9, 1, 112, 128)), dynamic_shapes=(None, {0: count})
    )
    features, rois = make_map(1, 18, 7, 8), make_rois(23, 1, 112, 128, seed=5)
    torch.testing.assert_close(program.module()(features, rois), layer(features, rois))


@pytest.mark.parametrize(
    ('channels', 'columns', 'options', 'words'),
    [
        (97, 5, {}, '97 channels.*7x7 = 49'),
        (98, 4, {}, r'rois \(K, 5\)'),
        (98, 5, {'sampling_ratio': 0}, 'sampling_ratio=0'),
        (98, 5, {'mode': 'mean'}, "'mean'"),
    ],
)
def test_wrong_input_is_named(channels, columns, options, words):
    with pytest.raises(ValueError, match=words):
        ps_roi_align(make_map(1, channels, 5, 6), torch.zeros(1, columns), **options)
