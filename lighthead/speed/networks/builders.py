"""How the networks of the catalogue are made, each with random weights and 1000 classes."""

import importlib
import sys
from collections.abc import Callable
from typing import Any

import torch.nn as nn
from torchvision.models.mobilenetv2 import MobileNetV2

from lighthead.errors import UserError
from lighthead.models.classifier import ImageClassifier


def from_backbone(type_name: str, **settings: Any) -> nn.Module:
    """A classifier on one of lighthead's registered backbones."""
    return ImageClassifier(dict(type=type_name, **settings))


def mobilenet_v2(width: float, round_to: int = 8) -> nn.Module:
    """torchvision's MobileNet v2; channels are multiples of ``round_to``."""
    return MobileNetV2(width_mult=width, round_nearest=round_to)


def from_pytorchcv(module: str, function: str, **settings: Any) -> nn.Module:
    """A network of pytorchcv (extra ``bench``), which takes images of any size here.

    Its last pooling is fixed to the 7x7 map of 224x224 images; a global one is the same there.
    """
    try:
        build = getattr(importlib.import_module(f'pytorchcv.models.{module}'), function)
    except ModuleNotFoundError:
        raise UserError(
            f'{function} comes from pytorchcv, which is not installed: '
            "pip install 'lighthead[bench]'."
        ) from None
    network = build(**settings)
    if isinstance(getattr(network.features, 'final_pool', None), nn.AvgPool2d):
        network.features.final_pool = nn.AdaptiveAvgPool2d(1)
    return network


def from_callable(name: str) -> nn.Module:
    """What ``package.module:callable`` returns; the current folder is searched too."""
    build = _import_callable(name)
    try:
        network = build()
    except TypeError as error:
        raise UserError(
            f'--network {name} must be callable without arguments ({error}).'
        ) from error
    if not isinstance(network, nn.Module):
        raise UserError(f'--network {name} returned {type(network).__name__}, no torch.nn.Module.')
    return network


def _import_callable(name: str) -> Callable[[], object]:
    module, _, attribute = name.partition(':')
    if '' not in sys.path:
        sys.path.insert(0, '')  # python -m and scripts differ here; a network of one's own is local
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, ValueError, AttributeError) as error:
        raise UserError(
            f'--network {name} cannot be imported ({error}): write package.module:callable.'
        ) from error
