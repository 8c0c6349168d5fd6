"""How the networks of the catalogue are made, each with random weights and 1000 classes."""

import importlib
from collections.abc import Callable

import torch.nn as nn
from torchvision.models.mobilenetv2 import MobileNetV2

from lighthead.errors import UserError


def from_backbone(type_name: str, **settings) -> nn.Module:
    """A classifier on one of lighthead's registered backbones."""
    from lighthead.models.classifier import ImageClassifier

    return ImageClassifier(dict(type=type_name, **settings))


def mobilenet_v2(width: float, round_to: int = 8) -> nn.Module:
    """torchvision's MobileNet v2; channels are multiples of ``round_to``."""
    return MobileNetV2(width_mult=width, round_nearest=round_to)


def from_pytorchcv(module: str, function: str, **settings) -> nn.Module:
    """A network of pytorchcv (extra ``bench``), which takes images of any size here.

    Its last pooling is fixed to the 7x7 map of 224x224 images; a global one is the same there.
    """
    network = _pytorchcv(module, function)(**settings)
    if isinstance(getattr(network.features, 'final_pool', None), nn.AvgPool2d):
        network.features.final_pool = nn.AdaptiveAvgPool2d(1)
    return network


def _pytorchcv(module: str, function: str) -> Callable[..., nn.Module]:
    try:
        return getattr(importlib.import_module(f'pytorchcv.models.{module}'), function)
    except ModuleNotFoundError:
        raise UserError(
            f'{function} comes from pytorchcv, which is not installed: '
            "pip install 'lighthead[bench]'."
        ) from None
