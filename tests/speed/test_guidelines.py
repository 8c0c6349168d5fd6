import pytest
import torch

from lighthead.speed.blocks import BLOCK_WIDTHS, equal_channels, macs_per_pixel, subjects_of_table
from lighthead.speed.guidelines import (
    SCALES,
    Bottleneck,
    ParallelConvs,
    cell_id,
    complexities,
    judge,
    network,
)
from lighthead.speed.paper.guidelines import FLOPS_TOLERANCE, G1, G3, GUIDELINES
from lighthead.speed.resolutions import subjects_of_table as resolution_subjects
from lighthead.speed.timer import Timing


@pytest.mark.parametrize('guideline', GUIDELINES, ids=lambda g: g.name)
@pytest.mark.parametrize('platform', ['gpu', 'arm'])
def test_flops_of_a_column_are_equal(guideline, platform):
    rows = getattr(guideline, platform)
    cells = complexities(guideline, rows)
    assert len(cells) == len(rows) * len(SCALES)
    for scale in SCALES:
        macs = [cells[cell_id(guideline, row, scale)].macs for row in rows]
        assert max(macs) / min(macs) - 1 <= 1.1 * FLOPS_TOLERANCE


def test_wider_columns_cost_about_four_times_as_much():
    cells = complexities(G1, G1.arm)
    macs = [cells[cell_id(G1, G1.arm[0], scale)].macs for scale in SCALES]
    assert macs[1] == 4 * macs[0]
    assert macs[2] == 16 * macs[0]


def test_parallel_fragments_are_added():
    block = ParallelConvs(2, 3)
    for conv in block.convs:
        torch.nn.init.dirac_(conv.weight)
    x = torch.randn(1, 2, 4, 4)
    assert torch.allclose(block(x), 3 * x)


@pytest.mark.parametrize(('relu', 'shortcut'), [(True, True), (False, True), (True, False)])
def test_bottleneck_has_relu_and_shortcut_where_it_should(relu, shortcut):
    block = Bottleneck(2, relu, shortcut)
    for conv in block.convs:
        torch.nn.init.zeros_(conv.weight)
    x = torch.randn(1, 2, 4, 4)
    expected = x if shortcut else torch.zeros_like(x)
    assert torch.equal(block(x.clone()), expected.relu() if relu else expected)


def test_networks_stack_ten_blocks():
    stacked = network('G3', (4, 'series'), (8,))
    assert len(stacked) == 10
    assert all(len(block) == 4 for block in stacked)


def fake_timings(factor, rounds=8):
    """Every row takes ``factor`` times as long as the first, at equal MACs."""
    timings, macs = {}, {}
    for place, row in enumerate(G3.arm):
        for scale in SCALES:
            key = cell_id(G3, row, scale)
            seconds = 1.0 if place == 0 else factor
            timings[key] = Timing(key, 1, [[seconds * (1 + 0.01 * i)] for i in range(rounds)])
            macs[key] = 100
    return timings, macs


@pytest.mark.parametrize(
    ('factor', 'word'),
    [(1.3, 'holds here'), (0.7, 'does not hold here'), (1.0, 'too noisy to tell')],
)
def test_verdict_follows_the_measurements(factor, word):
    timings, macs = fake_timings(factor)
    found = judge(G3, G3.arm, timings, macs)
    assert found['verdict'] == word
    assert found['ratio'] == pytest.approx(factor)
    assert len(found['cells']) == 12


def test_verdict_is_of_macs_per_second():
    timings, macs = fake_timings(1.0)
    for key in macs:
        if '1-fragment' not in key:
            macs[key] = 50  # as fast at half the work
    assert judge(G3, G3.arm, timings, macs)['ratio'] == pytest.approx(2.0)


def test_verdict_of_an_early_end_uses_what_is_there():
    timings, macs = fake_timings(1.3)
    kept = {key: timings[key] for key in list(timings)[:5]}
    assert len(judge(G3, G3.arm, kept, macs)['cells']) == 2
    assert judge(G3, G3.arm, {}, macs) == {}


@pytest.mark.parametrize('width', BLOCK_WIDTHS)
@pytest.mark.parametrize('name', ['ShuffleNet v1', 'MobileNet v2', 'Xception'])
def test_building_blocks_cost_the_same(name, width):
    channels = equal_channels(name, width)
    ratio = macs_per_pixel(name, channels) / macs_per_pixel('ShuffleNet v2', width)
    assert ratio == pytest.approx(1, abs=0.07)


def test_every_cell_of_the_appendix_is_there():
    assert len(subjects_of_table()) == 2 * 4 * 3
    assert len(resolution_subjects()) == 3 * 4 * 4
