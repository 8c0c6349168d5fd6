"""The loss between feature maps: what it ignores and what it sees."""

import pytest
import torch

from lighthead.models.feature_correlation_loss import FeatureCorrelationLoss


def test_ignores_scale_and_offset_of_a_channel() -> None:
    x = torch.randn(2, 4, 5, 6)
    scale, offset = torch.rand(4, 1, 1) + 0.5, torch.randn(4, 1, 1)
    assert FeatureCorrelationLoss()(x, x * scale + offset).item() == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize('weight', [1.0, 0.5])
def test_is_one_minus_the_correlation(weight) -> None:
    x, y = torch.randn(2, 1, 8, 8), torch.randn(2, 1, 8, 8)
    correlation = torch.corrcoef(torch.stack((x.flatten(), y.flatten())))[0, 1]
    loss = FeatureCorrelationLoss(weight)(x, y)
    assert loss.item() == pytest.approx(weight * (1 - correlation.item()), abs=1e-4)


def test_a_constant_channel_has_a_finite_gradient() -> None:
    x = torch.zeros(1, 2, 3, 3, requires_grad=True)
    FeatureCorrelationLoss()(x, torch.randn(1, 2, 3, 3)).backward()
    assert x.grad.isfinite().all()
