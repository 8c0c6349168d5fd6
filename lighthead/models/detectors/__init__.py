"""The whole detector."""

from lighthead.models.detectors.light_head_rcnn import LightHeadRCNN

__all__ = ['LightHeadRCNN']
