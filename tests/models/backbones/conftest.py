"""What the backbones' tests share: building by config, and counting multiply-adds."""

from collections.abc import Callable

import pytest
import torch
import torch.nn as nn
from mmdet.registry import MODELS
from torch.utils.flop_counter import FlopCounterMode

import lighthead  # noqa: F401  (registers)
from lighthead.models.classifier import ImageClassifier


@pytest.fixture
def count_macs() -> Callable[[dict], float]:
    """Millions of multiply-adds of a backbone's classifier at 224 px, counted without computing."""

    def count(cfg: dict) -> float:
        with torch.device('meta'):
            network = ImageClassifier(cfg).eval()
            image = torch.empty(1, 3, 224, 224)
        with FlopCounterMode(display=False) as counter:
            network(image)
        return counter.get_total_flops() / 2e6

    return count


@pytest.fixture
def build() -> Callable[..., nn.Module]:
    """Build a registered backbone from its config and more arguments."""

    def build(cfg: dict, **arguments) -> nn.Module:
        return MODELS.build(dict(cfg, **arguments))

    return build
