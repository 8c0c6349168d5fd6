"""The detector's parts, in the order in which an image passes them; importing this registers them.

``backbones`` -> ``light_head_rpn`` and ``large_separable_conv`` (thin map) ->
``ps_roi_extractor`` -> ``light_head_bbox_head``; ``light_head_roi_head`` mines the hard examples,
``light_head_rcnn`` is the whole detector.

The modern detector's: ``context_pan`` (pyramid and thin map), ``quality_rpn``,
``quality_bbox_head``, ``quality_roi_head``, ``modern_light_head``.
"""

from lighthead.models import backbones, pretraining_classifier  # noqa: F401  (they register)
from lighthead.models.context_pan import ContextPAN
from lighthead.models.feature_correlation_loss import FeatureCorrelationLoss
from lighthead.models.large_separable_conv import LargeSeparableConv
from lighthead.models.light_head_bbox_head import LightHeadBBoxHead
from lighthead.models.light_head_rcnn import LightHeadRCNN
from lighthead.models.light_head_roi_head import AllRoIsSampler, LightHeadRoIHead
from lighthead.models.light_head_rpn import LightHeadRPN
from lighthead.models.modern_light_head import ModernLightHead
from lighthead.models.ps_roi_extractor import PSRoIExtractor
from lighthead.models.quality_bbox_head import QualityBBoxHead
from lighthead.models.quality_roi_head import QualityRoIHead
from lighthead.models.quality_rpn import QualityRPN

__all__ = [
    'AllRoIsSampler',
    'ContextPAN',
    'FeatureCorrelationLoss',
    'LargeSeparableConv',
    'LightHeadBBoxHead',
    'LightHeadRCNN',
    'LightHeadRPN',
    'LightHeadRoIHead',
    'ModernLightHead',
    'PSRoIExtractor',
    'QualityBBoxHead',
    'QualityRPN',
    'QualityRoIHead',
]
