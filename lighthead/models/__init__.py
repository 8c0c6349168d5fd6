"""The detector's parts, in the order in which an image passes them; importing this registers them.

``backbones`` -> ``light_head_rpn`` and ``large_separable_conv`` (thin map) ->
``ps_roi_extractor`` -> ``light_head_bbox_head``; ``light_head_roi_head`` mines the hard examples,
``light_head_rcnn`` is the whole detector.
"""

from lighthead.models import backbones, pretraining_classifier  # noqa: F401  (they register)
from lighthead.models.large_separable_conv import LargeSeparableConv
from lighthead.models.light_head_bbox_head import LightHeadBBoxHead
from lighthead.models.light_head_rcnn import LightHeadRCNN
from lighthead.models.light_head_roi_head import AllRoIsSampler, LightHeadRoIHead
from lighthead.models.light_head_rpn import LightHeadRPN
from lighthead.models.ps_roi_extractor import PSRoIExtractor

__all__ = [
    'AllRoIsSampler',
    'LargeSeparableConv',
    'LightHeadBBoxHead',
    'LightHeadRCNN',
    'LightHeadRPN',
    'LightHeadRoIHead',
    'PSRoIExtractor',
]
