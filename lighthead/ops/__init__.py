"""Operators of the detector that no wheel supplies at this speed: see each module."""

from lighthead.ops.nms import batched_nms_topk
from lighthead.ops.ps_roi_align import PSRoIAlign, ps_roi_align

__all__ = ['PSRoIAlign', 'batched_nms_topk', 'ps_roi_align']
