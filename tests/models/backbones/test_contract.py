"""What every backbone must do: strides at every complexity, the rest at its narrowest.

The large networks are narrowed here, with all their units; the slow test has them as they are.
"""

from collections.abc import Callable

import pytest
import torch
import torch.nn as nn
from mmdet.registry import MODELS
from torch import Tensor
from torchvision.ops import SqueezeExcitation

from lighthead.errors import UserError
from lighthead.models.backbones import large_shufflenet_v2, shufflenet_v1, zoo
from lighthead.weights.star import star_names

STRIDES = (8, 16, 32, 32)
NARROW = {
    'Xception': dict(type='LightXception', widen_factor=0.5),
    'ShuffleNet v1': dict(type='ShuffleNetV1', widen_factor=0.5),
    'ShuffleNet v1-50': dict(type='LargeShuffleNetV1'),
    'MobileNet v2': dict(type='StagedMobileNetV2', widen_factor=0.15),
    'ShuffleNet v2': dict(type='ShuffleNetV2', widen_factor=0.5),
    'ShuffleNet v2*': dict(type='ShuffleNetV2', widen_factor=0.5, star=True),
    # the narrowest that differs from ShuffleNetV2
    'ShuffleNet v2, as released': dict(type='AuthorsShuffleNetV2', widen_factor=1.0),
    'ShuffleNet v2 + SE': dict(type='ShuffleNetV2SE', widen_factor=0.5),
    'ShuffleNet v2-50': dict(type='LargeShuffleNetV2', depth=50),
    'SE-ShuffleNet v2-164': dict(type='LargeShuffleNetV2', depth=164),
}
RELATIVES = [pytest.param(n.cfg, id=n.family) for n in zoo.RELATIVES]
every = pytest.mark.parametrize(
    'cfg', [pytest.param(n.cfg, id=f'{n.family} {n.counted}') for n in zoo.NETWORKS]
)
each_family = pytest.mark.parametrize('cfg', NARROW.values(), ids=NARROW.keys())


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """The large networks with all their units, but few channels."""
    for depth, layout in large_shufflenet_v2.LAYOUTS.items():
        conv1 = (8,) * len(layout.conv1)
        slim = layout._replace(conv1=conv1, stages=(16, 32, 64, 128), conv5=32)
        monkeypatch.setitem(large_shufflenet_v2.LAYOUTS, depth, slim)
    slim = shufflenet_v1.SHUFFLENET_V1_50._replace(stem=12, stages=(24, 48, 96, 192))
    monkeypatch.setattr(shufflenet_v1, 'SHUFFLENET_V1_50', slim)


def all_stages(build: Callable, cfg: dict, **arguments) -> nn.Module:
    count = len(MODELS.get(cfg['type']).stage_names)
    return build(cfg, out_indices=tuple(range(count)), **arguments)


def snapshot(module: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def training_step(network: nn.Module, size: int = 64) -> None:
    network.train()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    sum(out.square().mean() for out in network(torch.randn(2, 3, size, size))).backward()
    optimizer.step()


@every
def test_strides_and_channels_are_exact(cfg: dict, build) -> None:
    with torch.device('meta'):
        network = all_stages(build, cfg)
        outputs = network(torch.empty(1, 3, 96, 160))
    assert network.out_channels == network.stage_channels
    assert len(outputs) == len(network.stage_names)
    for output, stride, channels in zip(outputs, STRIDES, network.out_channels, strict=False):
        assert output.shape == (1, channels, 96 // stride, 160 // stride)


def learns(network: nn.Module) -> None:
    network.train().init_weights()
    for module in network.modules():
        if isinstance(module, SqueezeExcitation):
            nn.init.ones_(module.fc1.bias)  # at random, a narrow squeeze may be closed by its ReLU
    outputs = network(torch.randn(2, 3, 64, 64))
    assert all(output.isfinite().all() and output.std() > 0 for output in outputs)
    (outputs[-1] * torch.randn_like(outputs[-1])).sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().sum() > 0, name


@each_family
@pytest.mark.usefixtures('narrow')
def test_features_are_finite_and_every_parameter_gets_a_gradient(cfg: dict, build) -> None:
    learns(all_stages(build, cfg))


@pytest.mark.slow
@pytest.mark.parametrize('cfg', RELATIVES)
def test_so_it_is_with_the_large_networks_as_they_are(cfg: dict, build) -> None:
    learns(all_stages(build, cfg))


@each_family
@pytest.mark.usefixtures('narrow')
def test_out_indices_choose_the_maps(cfg: dict, build) -> None:
    network = all_stages(build, cfg).eval()
    image = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        every_map = network(image)
        chosen = build(cfg, out_indices=(1,)).eval()
        chosen.load_state_dict(network.state_dict())
        (only,) = chosen(image)
    assert torch.equal(only, every_map[1])
    assert chosen.out_channels == (network.stage_channels[1],)


@each_family
@pytest.mark.usefixtures('narrow')
def test_frozen_stages_stay_bit_identical_over_a_step(cfg: dict, build) -> None:
    network = all_stages(build, cfg, frozen_stages=1)
    frozen = [name for name in network.frozen_names() if list(getattr(network, name).parameters())]
    assert 'stage2' in frozen
    before = {name: snapshot(getattr(network, name)) for name in (*frozen, 'stage3')}
    training_step(network)
    for name in frozen:
        after = getattr(network, name).state_dict()
        for key in after.keys() - star_names(after):
            assert torch.equal(after[key], before[name][key]), f'{name}.{key}'
    after = network.stage3.state_dict()
    changed = [not torch.equal(tensor, after[key]) for key, tensor in before['stage3'].items()]
    assert sum(changed) > 0.8 * len(changed), 'a stage that is not frozen must change'


@each_family
@pytest.mark.usefixtures('narrow')
def test_everything_can_be_frozen(cfg: dict, build) -> None:
    network = build(cfg, frozen_stages=len(build(cfg).stage_names)).train()
    training = [name for name, parameter in network.named_parameters() if parameter.requires_grad]
    assert training == star_names(training), "only ShuffleNetV2*'s added layers train on"
    assert not any(norm.training for norm in network.norms().values())


@each_family
@pytest.mark.usefixtures('narrow')
def test_norm_eval_keeps_the_statistics_and_trains_the_rest(cfg: dict, build) -> None:
    network = all_stages(build, cfg, norm_eval=True)
    before = snapshot(network)
    training_step(network)
    after = network.state_dict()
    statistics = [name for name in before if '.running_' in name]
    assert statistics
    assert all(torch.equal(before[name], after[name]) for name in statistics)
    assert all(parameter.grad is not None for parameter in network.parameters())
    assert any(not torch.equal(before[name], tensor) for name, tensor in after.items())


@each_family
@pytest.mark.usefixtures('narrow')
def test_scale_and_shift_of_the_norms_can_be_fixed(cfg: dict, build) -> None:
    network = all_stages(build, cfg, norm_cfg=dict(type='BN', requires_grad=False))
    norms = {f'{n}.{field}' for n in network.norms() for field in ('weight', 'bias')}
    fixed = {name for name, p in network.named_parameters() if not p.requires_grad}
    assert fixed == norms - set(star_names(norms))


@each_family
@pytest.mark.usefixtures('narrow')
def test_norm_and_activation_can_be_chosen(cfg: dict, build) -> None:
    network = build(cfg, norm_cfg=dict(type='BN', eps=0.25), act_cfg=dict(type='LeakyReLU'))
    modules = list(network.modules())
    assert {norm.eps for norm in network.norms().values()} == {0.25}
    assert any(isinstance(module, nn.LeakyReLU) for module in modules)
    activations = [m for m in modules if isinstance(m, (nn.ReLU, nn.ReLU6))]
    # torchvision's squeeze-and-excitation has a ReLU of its own inside
    assert len(activations) == sum(type(m).__name__ == 'SqueezeExcitation' for m in modules)


@each_family
@pytest.mark.usefixtures('narrow')
def test_recomputing_activations_changes_no_gradient(cfg: dict, build) -> None:
    if cfg['type'] == 'StagedMobileNetV2':
        with pytest.raises(TypeError, match='with_cp'):
            build(cfg, with_cp=True)
        return
    plain = build(cfg).train()
    saving = build(cfg, with_cp=True).train()
    saving.load_state_dict(plain.state_dict())
    image = torch.randn(2, 3, 64, 64)
    for network in (plain, saving):
        sum(out.square().mean() for out in network(image)).backward()
    gradients = dict(saving.named_parameters())
    for name, parameter in plain.named_parameters():
        torch.testing.assert_close(
            gradients[name].grad, parameter.grad, atol=1e-6, rtol=1e-5, msg=name
        )


@each_family
@pytest.mark.usefixtures('narrow')
def test_impossible_arguments_are_explained(cfg: dict, build) -> None:
    with pytest.raises(UserError, match=r'out_indices=\(7,\) does not fit'):
        build(cfg, out_indices=(7,))
    with pytest.raises(UserError, match=r'frozen_stages=9 is not in -1\.\.'):
        build(cfg, frozen_stages=9)
    field = 'depth' if 'depth' in cfg else 'widen_factor'
    if field in cfg:
        with pytest.raises(UserError, match=f'{field}=3 is none'):
            build({**cfg, field: 3})


@each_family
@pytest.mark.usefixtures('narrow')
def test_freezing_untrained_statistics_is_refused(cfg: dict, build) -> None:
    with pytest.raises(UserError, match='never trained'):
        build(cfg, frozen_stages=0).init_weights()
