"""The region proposal network."""

from lighthead.models.dense_heads.light_head_rpn import LightHeadRPN

__all__ = ['LightHeadRPN']
