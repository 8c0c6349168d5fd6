import pytest
import torch

from lighthead.errors import UserError
from lighthead.speed.complexity import count_on_meta
from lighthead.speed.networks import NETWORKS, find_network
from lighthead.speed.networks.catalogue import stand_ins
from lighthead.speed.networks.pnasnet import FactorizedReduction
from lighthead.speed.paper.table8 import TABLE8

OURS = ('igcv2-0.25', 'densenet_0.5x', 'pnasnet-5', 'xception_0.5x', 'shufflenet_v2_0.5x')


@pytest.fixture(autouse=True)
def _needs_pytorchcv():
    pytest.importorskip('pytorchcv', reason="needs the extra 'bench'")


@pytest.mark.parametrize('key', NETWORKS)
def test_macs_meet_the_paper_or_are_known_to_miss(key):
    network = NETWORKS[key]
    size = network.paper.size
    macs = count_on_meta(network.build, (1, 3, size, size)).macs / 1e6
    deviation = abs(macs / network.paper.mflops - 1)
    if network.tolerance is None:
        assert deviation > 0.02, f'{key}: {macs:.1f} M meets the paper, no matched network needed'
    else:
        assert deviation <= network.tolerance, f'{key}: {macs:.1f} M, {network.paper.mflops} M'


def test_every_row_has_a_network_that_meets_it():
    assert [network.model for network in stand_ins()] == [row.model for row in TABLE8]
    assert all(network.tolerance is not None for network in stand_ins())


@pytest.mark.parametrize('key', OURS)
def test_forward_is_finite(key):
    torch.manual_seed(0)
    network = NETWORKS[key]
    with torch.no_grad():
        logits = network.build().eval()(torch.randn(2, 3, 64, 96))
    assert logits.shape == (2, 1000)
    assert torch.isfinite(logits).all()


def test_pnasnet_has_the_published_parameters():
    model = NETWORKS['pnasnet-5'].build()
    assert sum(p.numel() for p in model.parameters()) / 1e6 == pytest.approx(5.1, abs=0.05)


@pytest.mark.parametrize(('size', 'half'), [(6, 3), (7, 4)])
def test_factorized_reduction_sees_both_pixel_grids(size, half):
    layer = FactorizedReduction(1, 3).eval()
    torch.nn.init.ones_(layer.conv1.weight)
    torch.nn.init.ones_(layer.conv2.weight)
    x = torch.arange(size * size, dtype=torch.float).view(1, 1, size, size)
    with torch.no_grad():
        y = layer(x)
    assert y.shape == (1, 3, half, half)
    assert y[0, 0, 1, 1] == pytest.approx(x[0, 0, 2, 2].item(), rel=1e-4)
    assert y[0, 1, 1, 1] == pytest.approx(x[0, 0, 3, 3].item(), rel=1e-4)


def test_unknown_network_is_a_sentence():
    with pytest.raises(UserError, match=r"no network 'resnet'.*shufflenet_v2_1x"):
        find_network('resnet')
