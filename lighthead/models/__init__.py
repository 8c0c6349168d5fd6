"""The detector's rooms; importing this registers them in mmdet."""

from lighthead.models import backbones, dense_heads, detectors, necks, pretraining, roi_heads

__all__ = ['backbones', 'dense_heads', 'detectors', 'necks', 'pretraining', 'roi_heads']
