"""torchvision's MobileNet v2, cut into stages."""

import pytest
import torch
import torchvision

from lighthead.models.backbones import StagedMobileNetV2


@pytest.mark.parametrize('factor', [1.0, 1.4])
def test_torchvisions_weights_load_and_give_its_features(factor: float) -> None:
    theirs = torchvision.models.mobilenet_v2(width_mult=factor).eval()
    ours = StagedMobileNetV2(factor, out_indices=(0, 1, 2, 3)).eval()
    weights = {k: v for k, v in theirs.state_dict().items() if k.startswith('features.')}
    ours.load_state_dict(weights)
    image = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        outputs = ours(image)
        x, expected = image, {}
        for index, layer in enumerate(theirs.features):
            x = layer(x)
            expected[index] = x
    for output, index in zip(outputs, (6, 13, 17, 18), strict=True):
        torch.testing.assert_close(output, expected[index], atol=1e-6, rtol=1e-6)


def test_its_own_state_dict_loads_again() -> None:
    a, b = StagedMobileNetV2(0.15), StagedMobileNetV2(0.15)
    b.load_state_dict(a.state_dict())
    assert all(torch.equal(a.state_dict()[k], v) for k, v in b.state_dict().items())


def test_matched_and_nominal_differ_at_the_small_widths_only() -> None:
    channels = {
        factor: [StagedMobileNetV2(factor, matched).stage_channels for matched in (True, False)]
        for factor in (0.15, 0.6, 1.0, 1.4)
    }
    same = {factor: matched == nominal for factor, (matched, nominal) in channels.items()}
    assert same == {0.15: False, 0.6: False, 1.0: True, 1.4: True}
