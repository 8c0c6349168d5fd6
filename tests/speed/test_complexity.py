import pytest
import torch
import torch.nn as nn
import torchvision
from torch.utils.flop_counter import FlopCounterMode

from lighthead import cli
from lighthead.errors import UserError
from lighthead.speed.detectors.build import build_mmdet_detector
from lighthead.speed.detectors.complexity import detector_shares
from lighthead.speed.harness.complexity import count, count_on_meta


def test_memory_access_of_a_pointwise_convolution_is_the_papers():
    # hw(c1 + c2) + c1 c2 (arXiv 1807.11164, section 2, G1)
    conv = nn.Conv2d(24, 40, 1, bias=False)
    cost = count(conv, torch.randn(1, 24, 7, 9))
    assert cost.memory_access == 63 * (24 + 40) + 24 * 40
    assert cost.macs == 63 * 24 * 40
    assert cost.activations == 63 * 40
    assert cost.parameters == 960


def test_memory_access_of_a_group_convolution_is_the_papers():
    # hw c1 + B g / c1 + B / hw with B = hw c1 c2 / g (G2)
    c1, c2, groups, pixels = 24, 48, 4, 35
    conv = nn.Conv2d(c1, c2, 1, groups=groups, bias=False)
    cost = count(conv, torch.randn(1, c1, 5, 7))
    flops = pixels * c1 * c2 // groups
    assert cost.macs == flops
    assert cost.memory_access == pixels * c1 + flops * groups // c1 + flops // pixels


def test_elementwise_operations_have_no_macs_but_memory_access():
    cost = count(nn.ReLU(), torch.randn(2, 3, 4, 5))
    assert (cost.macs, cost.memory_access) == (0, 0)
    assert cost.memory_access_all == 2 * 120


def test_views_cost_nothing():
    cost = count(nn.Flatten(), torch.randn(2, 3, 4, 5))
    assert cost.memory_access_all == 0


def test_meta_counting_equals_torchs_counter():
    network = torchvision.models.shufflenet_v2_x0_5
    cost = count_on_meta(network, (1, 3, 64, 64))
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network().eval()(torch.randn(1, 3, 64, 64))
    assert 2 * cost.macs == counter.get_total_flops()


def test_least_time_takes_the_slower_limit_of_each_operation():
    cost = count(nn.Conv2d(4, 4, 1, bias=False), torch.randn(1, 4, 2, 2))
    moved = 4 * (16 + 16 + 16)
    assert cost.least_time(peak=1e30, bandwidth=100) == pytest.approx(moved / 100)
    assert cost.least_time(peak=10, bandwidth=1e30) == pytest.approx(2 * 64 / 10)


@pytest.mark.parametrize(
    ('config', 'total', 'padded'),
    [
        # paper-facing totals in G multiply-adds at 800x1200, and padded to 1216
        ('lighthead_shufflev2star_x0_5.py', 5.645, 5.664),
        ('lighthead_shufflev2star.py', 8.873, 8.927),
        ('lighthead_shufflev2star_x1_5.py', 12.848, 12.945),
        ('lighthead_shufflev2star_x2_0.py', 21.446, 21.605),
    ],
)
def test_detectors_have_the_published_complexity(config, total, padded, pytestconfig):
    model = build_mmdet_detector(str(pytestconfig.rootpath / 'configs' / config))
    for width, expected in ((1200, total), (1216, padded)):
        shares = detector_shares(model, 800, width)
        assert sum(share.macs for share in shares) / 1e9 == pytest.approx(expected, rel=0.01)
    assert [share.part for share in shares] == [
        'backbone',
        'separable conv',
        'RPN',
        'R-CNN head',
    ]


def test_command_prints_the_parts(capsys, pytestconfig):
    config = pytestconfig.rootpath / 'configs' / 'lighthead_shufflev2star_x0_5.py'
    cli.main(['complexity', str(config), '--shape', '800x1200'])
    printed = capsys.readouterr().out
    assert '5.645 G' in printed
    assert 'separable conv' in printed
    assert '1000 RoIs' in printed


def test_a_config_that_cannot_be_built_is_refused_with_the_key(tmp_path):
    path = tmp_path / 'odd.py'
    path.write_text("model = dict(type='RPN', backbone=dict(type='ResNet'))")
    with pytest.raises(UserError, match=r'^model \(RPN\) cannot be built'):
        build_mmdet_detector(str(path))
