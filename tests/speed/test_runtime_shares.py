import time

import pytest
import torch
import torch.nn as nn

from lighthead.speed.experiments.runtime_shares import (
    KINDS,
    kind_of,
    seconds_by_kind,
    shares_of,
)
from lighthead.speed.harness.profiling import profile_calls
from lighthead.speed.harness.record import read_record

CPU = torch.device('cpu')


@pytest.mark.parametrize(
    ('name', 'shapes', 'parents', 'kind'),
    [
        ('aten::mkldnn_convolution', [[1, 8, 9, 9], [16, 8, 1, 1]], [], 'dense convolution'),
        ('aten::cudnn_convolution', [[1, 8, 9, 9], [8, 1, 3, 3]], [], 'depthwise convolution'),
        ('aten::convolution', [[1, 8, 9, 9], [8, 4, 3, 3]], [], 'dense convolution'),
        ('aten::native_batch_norm', [], [], 'batch norm'),
        ('aten::cat', [], [], 'shuffle, split, concat'),
        ('aten::copy_', [], ['aten::clone', 'aten::reshape'], 'shuffle, split, concat'),
        ('aten::copy_', [], ['aten::contiguous'], 'data movement'),
        ('aten::div_', [], ['data'], 'data movement'),
        ('aten::clamp_min_', [], [], 'element-wise'),
        ('aten::add_', [], [], 'element-wise'),
        ('aten::hardtanh_', [], [], 'element-wise'),
        ('aten::addmm', [], [], 'others'),
    ],
)
def test_kinds_of_operations(name, shapes, parents, kind):
    assert kind_of(name, shapes, parents) == kind


def test_profiled_seconds_are_those_of_a_call():
    """Each operation is counted once: together they take no longer than the call."""
    net = nn.Sequential(nn.Conv2d(3, 64, 7), nn.BatchNorm2d(64), nn.ReLU(), nn.Flatten()).eval()
    images = torch.randn(4, 3, 96, 96)
    with torch.no_grad():
        operations, total = profile_calls(lambda: net(images), 4, CPU)
    seconds = seconds_by_kind(operations)
    assert list(seconds) == list(KINDS)
    known = seconds['dense convolution'] + seconds['batch norm'] + seconds['element-wise']
    assert 0.5 * total < known <= sum(seconds.values()) < total
    assert seconds['depthwise convolution'] == 0
    assert seconds['dense convolution'] > seconds['element-wise'] > 0


def test_time_outside_of_operations_belongs_to_others():
    x = torch.randn(8)

    def call():
        time.sleep(0.05)
        x.relu()

    operations, total = profile_calls(call, 2, CPU)
    seconds = seconds_by_kind(operations)
    assert sum(seconds.values()) < 0.01
    assert total == pytest.approx(0.05, abs=0.03)
    assert shares_of(seconds, total)['others'] > 0.9


@pytest.mark.parametrize(
    ('total', 'shares'),
    [(10.0, (0.4, 0.6)), (4.0, (0.8, 0.2))],  # the second: kernels side by side, 5 s in 4 s
)
def test_shares_are_of_what_took_the_time(total, shares):
    seconds = dict.fromkeys(KINDS, 0.0) | {'batch norm': 4.0, 'others': 1.0}
    result = shares_of(seconds, total)
    assert (result['batch norm'], result['others']) == pytest.approx(shares)


def test_breakdown_command(tmp_path, speed_command):
    arguments = ('breakdown', 'shufflenet_v2_0.5x', '--quick', '--threads', 1, '--shape', 64)
    assert speed_command(*arguments, '--out', tmp_path) == 0
    (row,) = read_record(tmp_path).measurements
    assert row['shares']['dense convolution'] > row['shares']['data movement'] > 0
    assert row['profiled_ms'] > row['shares']['dense convolution'] * row['profiled_ms'] > 0
    assert (tmp_path / 'breakdown.png').is_file()
