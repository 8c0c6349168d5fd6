import pytest
import torch

from lighthead.errors import UserError
from lighthead.speed.harness.complexity import count_on_meta
from lighthead.speed.networks import NETWORKS, build_network, find_network, stand_ins
from lighthead.speed.networks.pnasnet import FactorizedReduction
from lighthead.speed.paper.table8 import TABLE8

BUILT_HERE = ('igcv2-0.25', 'densenet_0.5x', 'pnasnet-5', 'xception_0.5x', 'shufflenet_v2_0.5x')


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


@pytest.mark.parametrize('key', BUILT_HERE)
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
    for conv in layer.convs:
        torch.nn.init.ones_(conv.weight)
    x = torch.arange(size * size, dtype=torch.float).view(1, 1, size, size)
    with torch.no_grad():
        y = layer(x)
    assert y.shape == (1, 3, half, half)
    assert y[0, 0, 1, 1] == pytest.approx(x[0, 0, 2, 2].item(), rel=1e-4)
    assert y[0, 1, 1, 1] == pytest.approx(x[0, 0, 3, 3].item(), rel=1e-4)


def test_unknown_network_is_named_with_the_known_ones():
    with pytest.raises(UserError, match=r"no network 'resnet'.*shufflenet_v2_1x"):
        find_network('resnet')


@pytest.fixture
def own_module(tmp_path, monkeypatch):
    """A folder with a module of the user's, the current one."""
    (tmp_path / 'own_networks.py').write_text(
        'import torch\n\n\n'
        'def tiny():\n    return torch.nn.Conv2d(3, 4, 3)\n\n\n'
        'def wide(channels):\n    return torch.nn.Conv2d(3, channels, 3)\n\n\n'
        'def text():\n    return "no network"\n'
    )
    monkeypatch.chdir(tmp_path)


def test_own_network_is_found_in_the_current_folder(own_module):
    network = find_network('own_networks:tiny')
    assert (network.key, network.family, network.paper.gpu) == ('own_networks:tiny', 'own', None)
    assert build_network(network.key)(torch.zeros(1, 3, 8, 8)).shape == (1, 4, 6, 6)


@pytest.mark.parametrize(
    ('name', 'message'),
    [
        ('own_networks:absent', 'cannot be imported'),
        ('absent_module:tiny', 'cannot be imported'),
        ('own_networks:wide', 'without arguments'),
        ('own_networks:text', 'no torch.nn.Module'),
        (':', 'cannot be imported'),
    ],
)
def test_own_network_that_is_none_is_refused(own_module, name, message):
    with pytest.raises(UserError, match=message):
        build_network(name)
