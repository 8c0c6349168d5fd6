"""Backbones: the paper's networks, each with strides 8, 16 and 32."""

from lighthead.models.backbones.authors_shufflenet_v2 import AuthorsShuffleNetV2
from lighthead.models.backbones.base import StagedBackbone
from lighthead.models.backbones.large_shufflenet_v2 import LargeShuffleNetV2
from lighthead.models.backbones.light_xception import LightXception
from lighthead.models.backbones.mobilenet_v2 import StagedMobileNetV2
from lighthead.models.backbones.shufflenet_v1 import LargeShuffleNetV1, ShuffleNetV1
from lighthead.models.backbones.shufflenet_v2 import ShuffleNetV2
from lighthead.models.backbones.shufflenet_v2_se import ShuffleNetV2SE

__all__ = [
    'AuthorsShuffleNetV2',
    'LargeShuffleNetV1',
    'LargeShuffleNetV2',
    'LightXception',
    'ShuffleNetV1',
    'ShuffleNetV2',
    'ShuffleNetV2SE',
    'StagedBackbone',
    'StagedMobileNetV2',
]
