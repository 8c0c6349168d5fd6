"""The detector's rooms; importing this registers them in mmdet."""

from lighthead.models import backbones, necks

__all__ = ['backbones', 'necks']
