"""From RoIs to boxes: PS-RoI align, one fc, OHEM."""

from lighthead.models.roi_heads.light_head_bbox_head import LightHeadBBoxHead
from lighthead.models.roi_heads.light_head_roi_head import AllRoIsSampler, LightHeadRoIHead
from lighthead.models.roi_heads.ps_roi_extractor import PSRoIExtractor

__all__ = ['AllRoIsSampler', 'LightHeadBBoxHead', 'LightHeadRoIHead', 'PSRoIExtractor']
