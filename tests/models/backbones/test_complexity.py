"""Multiply-adds of every network, counted from the code, beside the paper's."""

import mmdet.models
import pytest
from mmdet.registry import MODELS

from lighthead.models import backbones
from lighthead.models.backbones import zoo

NAMED = [pytest.param(n, id=f'{n.family} {n.kind} {n.counted}') for n in zoo.NETWORKS]
TOLERANCE = {'ShuffleNet v2 + SE': 0.025}


@pytest.mark.parametrize('network', NAMED)
def test_counts_what_the_zoo_says(network: zoo.Network, count_macs) -> None:
    assert count_macs(network.cfg) == pytest.approx(network.counted, abs=0.006)


@pytest.mark.parametrize(
    'network',
    [
        pytest.param(n, id=f'{n.family} {n.counted}')
        for n in zoo.TABLE7 + zoo.AUTHORS + zoo.RELATIVES
    ],
)
def test_meets_the_papers_complexity(network: zoo.Network) -> None:
    assert abs(network.deviation) <= TOLERANCE.get(network.family, 0.02)


def test_the_unmatched_networks_are_those_that_miss_the_papers_complexity() -> None:
    assert all(abs(network.deviation) > 0.02 for network in zoo.UNMATCHED)
    matched = {(n.family, n.paper) for n in zoo.TABLE7 if n.kind == 'matched'}
    assert matched == {(n.family, n.paper) for n in zoo.UNMATCHED}


def test_table7_has_five_families_at_four_complexities() -> None:
    cells = [(network.family, network.column) for network in zoo.TABLE7]
    assert len(set(cells)) == len(cells) == 20
    assert len({family for family, _ in cells}) == 5
    for network in zoo.TABLE7:
        assert zoo.cell(network.family, network.column) is network
        assert network.counted == pytest.approx(float(network.column[:-1]), rel=0.19)


def test_every_registered_backbone_is_in_the_zoo() -> None:
    ours = {name for name in backbones.__all__ if MODELS.get(name) is not None}
    assert ours == {network.cfg['type'] for network in zoo.NETWORKS}


def test_mmdets_own_backbones_stay_registered() -> None:
    assert MODELS.get('MobileNetV2') is mmdet.models.MobileNetV2
