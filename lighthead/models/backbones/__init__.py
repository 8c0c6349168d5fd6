"""Backbones: the paper's networks, each with strides 8, 16 and 32."""

from lighthead.models.backbones.base import StagedBackbone
from lighthead.models.backbones.shufflenet_v2 import ShuffleNetV2

__all__ = ['ShuffleNetV2', 'StagedBackbone']
