"""Operators of the detector that no wheel supplies at this speed: see each module."""

from lighthead.ops.ps_roi_align import PSRoIAlign, ps_roi_align

__all__ = ['PSRoIAlign', 'ps_roi_align']
