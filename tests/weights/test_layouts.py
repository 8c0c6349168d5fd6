"""Every layout of ShuffleNetV2's weights gives the outputs of the network it comes from."""

import pytest
import torch
import torchvision

from lighthead.errors import UserError
from lighthead.models.backbones.authors_shufflenet_v2 import channel_order
from lighthead.weights import layouts
from lighthead.weights.files import strip_prefixes

WIDTHS = (0.5, 1.0, 1.5, 2.0)
NAMES = {0.5: 'x0_5', 1.0: 'x1_0', 1.5: 'x1_5', 2.0: 'x2_0'}


def torchvision_outputs(network, images):
    """stage2, stage3, stage4 and conv5 of torchvision's network."""
    x, outputs = network.maxpool(network.conv1(images)), []
    for name in ('stage2', 'stage3', 'stage4', 'conv5'):
        x = getattr(network, name)(x)
        outputs.append(x)
    return outputs


def relative_error(actual, expected):
    return ((actual - expected).abs().max() / expected.abs().max()).item()


def test_channel_order_is_its_own_inverse():
    for channels in (48, 116, 176, 244, 352, 464, 488, 704, 976):
        order = channel_order(channels)
        assert [order[i] for i in order] == list(range(channels))


@torch.no_grad()
@pytest.mark.parametrize('star', [False, True])
@pytest.mark.parametrize('width', WIDTHS)
def test_torchvision_weights_give_torchvisions_features(width, star, save, build, realistic):
    network = realistic(torchvision.models.get_model(f'shufflenet_v2_{NAMES[width]}'))
    backbone = build(save(network.state_dict()), widen_factor=width, star=star).eval()
    images = torch.randn(2, 3, 64, 96)
    for actual, expected in zip(backbone(images), torchvision_outputs(network, images)):
        assert relative_error(actual, expected) <= (1e-5 if star else 1e-6)


@torch.no_grad()
@pytest.mark.parametrize('star', [False, True])
@pytest.mark.parametrize('equal', [False, True])
@pytest.mark.parametrize('width', WIDTHS)
def test_megvii_weights_give_megviis_features(width, equal, star, save, build, authors_network):
    network = authors_network(width, equal)
    kind = 'ShuffleNetV2' if equal else 'AuthorsShuffleNetV2'
    checkpoint = save({'state_dict': {f'module.{k}': v for k, v in network.state_dict().items()}})
    backbone = build(checkpoint, type=kind, widen_factor=width, star=star).eval()
    images = torch.randn(2, 3, 64, 96)
    *stages, conv5 = backbone(images)
    *expected_stages, expected_conv5 = network(images)
    for actual, expected in zip(stages, expected_stages):
        order = channel_order(expected.shape[1])
        assert relative_error(actual, expected[:, order]) <= 1e-5
    assert relative_error(conv5, expected_conv5) <= 1e-5
    assert backbone.weight_source.color_order == 'bgr'


def test_half_a_megvii_network_fits_both_classes(save, build, authors_network):
    checkpoint = save(authors_network(0.5).state_dict())
    for kind in ('ShuffleNetV2', 'AuthorsShuffleNetV2'):
        assert len(build(checkpoint, type=kind, widen_factor=0.5).loaded_norms) == 56


def test_unequal_entry_is_refused_by_the_plain_network(save, build, authors_network):
    checkpoint = save(authors_network(1.0).state_dict())
    with pytest.raises(UserError, match=r'type=AuthorsShuffleNetV2'):
        build(checkpoint, widen_factor=1.0)


def test_equal_entry_is_refused_by_the_authors_network(save, build):
    checkpoint = save(build(widen_factor=1.0).state_dict())
    with pytest.raises(UserError, match=r'type=ShuffleNetV2\.'):
        build(checkpoint, type='AuthorsShuffleNetV2', widen_factor=1.0)


def test_authors_network_trains(build):
    backbone = build(type='AuthorsShuffleNetV2', widen_factor=1.0, star=True, with_cp=True)
    backbone(torch.randn(2, 3, 64, 64))[-1].square().mean().backward()
    assert all(p.grad is not None for p in backbone.parameters())


@pytest.mark.parametrize(
    'prefix', ['', 'module.', 'backbone.', 'model.', 'module.backbone.', 'model.backbone.']
)
def test_prefixes_are_stripped(prefix, build):
    names = build(widen_factor=0.5).state_dict()
    stripped = strip_prefixes({f'{prefix}{name}': tensor for name, tensor in names.items()})
    assert list(stripped) == list(names)


def test_a_detectors_other_parts_are_left_out():
    tensors = {'backbone.conv1.0.weight': torch.ones(1), 'neck.conv1.weight': torch.ones(1)}
    assert list(strip_prefixes(tensors)) == ['conv1.0.weight']


def test_layouts_are_recognised(build, authors_network):
    assert layouts.recognise(build().state_dict()) == 'torchvision'
    assert layouts.recognise(authors_network(0.5).state_dict()) == 'megvii'
    assert layouts.recognise({'layer1.0.conv1.weight': torch.ones(1)}) == 'other'
