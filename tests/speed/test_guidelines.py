import pytest
import torch

from lighthead.speed.experiments import blocks, resolutions
from lighthead.speed.experiments.blocks import BLOCK_WIDTHS, equal_channels, macs_per_pixel
from lighthead.speed.experiments.guidelines import cells_of, judge, paper_ratio
from lighthead.speed.harness.complexity import count_on_meta
from lighthead.speed.networks.guideline_blocks import Bottleneck, ParallelConvs, stacked_blocks
from lighthead.speed.paper.tables1to4 import FLOPS_TOLERANCE, GUIDELINES, SCALES

G1, _, G3, _ = GUIDELINES


def macs_by_scale(guideline, platform):
    """Multiply-adds of the rows of each column."""
    columns = {scale: [] for scale in SCALES}
    for cell in cells_of(guideline, platform):
        macs = count_on_meta(cell.build, (1, cell.channels, *cell.size)).macs
        columns[cell.facts['scale']].append(macs)
    return columns


@pytest.mark.parametrize('guideline', GUIDELINES, ids=lambda g: g.name)
@pytest.mark.parametrize('platform', ['gpu', 'arm'])
def test_flops_of_a_column_are_equal(guideline, platform):
    for macs in macs_by_scale(guideline, platform).values():
        assert len(macs) == len(guideline.rows(platform)) >= 4
        assert max(abs(value / macs[0] - 1) for value in macs) <= FLOPS_TOLERANCE


def test_twice_the_channels_cost_four_times_as_much():
    first = [macs[0] for macs in macs_by_scale(G1, 'arm').values()]
    assert first == [2 * 10 * 56 * 56 * c * c for c in (32, 64, 128)]


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
    stacked = stacked_blocks('G3', '4 series', (8,))
    assert len(stacked) == 10
    assert all(len(block) == 4 for block in stacked)


def rows_of(factor, rounds=8):
    """Measurements in which every row takes ``factor`` times as long as the first."""
    rows = []
    for place, row in enumerate(G3.rows('arm')):
        for scale in SCALES:
            seconds = 1.0 if place == 0 else factor
            times = [seconds * (1 + 0.01 * index) for index in range(rounds)]
            rows.append(dict(name=row.label, scale=scale, macs=100, round_ms=times))
    return rows


@pytest.mark.parametrize(
    ('factor', 'word'),
    [(1.3, 'holds here'), (0.7, 'does not hold here'), (1.0, 'too noisy to tell')],
)
def test_verdict_follows_the_measurements(factor, word):
    judged = judge(rows_of(factor))
    assert judged['verdict'] == word
    assert judged['ratio'] == pytest.approx(factor)
    assert len(judged['cells']) == 12


def test_verdict_is_of_macs_per_second():
    rows = rows_of(1.0)
    for row in rows:
        if row['name'] != '1-fragment':
            row['macs'] = 50  # as fast at half the work
    assert judge(rows)['ratio'] == pytest.approx(2.0)


def test_verdict_of_an_early_end_uses_what_is_there():
    assert list(judge(rows_of(1.3)[:5])['cells']) == [
        '2-fragment-series x1',
        '2-fragment-series x2',
    ]
    assert judge([]) == {}


def test_ratio_of_the_paper_is_the_geometric_mean():
    # G3 on the phone: 40.2, 10.1, 2.3 over the twelve other cells
    others = [38.6, 10.1, 2.2, 38.4, 10.1, 2.3, 33.4, 9.1, 2.2, 35.0, 8.4, 2.1]
    product = 1.0
    for first, other in zip([40.2, 10.1, 2.3] * 4, others, strict=True):
        product *= first / other
    assert paper_ratio(G3, 'arm') == pytest.approx(product ** (1 / 12))


@pytest.mark.parametrize('width', BLOCK_WIDTHS)
@pytest.mark.parametrize('name', ['ShuffleNet v1', 'MobileNet v2', 'Xception'])
def test_building_blocks_cost_the_same(name, width):
    channels = equal_channels(name, width)
    ratio = macs_per_pixel(name, channels) / macs_per_pixel('ShuffleNet v2', width)
    assert ratio == pytest.approx(1, abs=0.07)


def test_every_cell_of_the_appendix_is_there():
    assert len({cell.key for cell in blocks.cells_of_table()}) == 2 * 4 * 3
    assert len({cell.key for cell in resolutions.cells_of_table()}) == 3 * 4 * 4
