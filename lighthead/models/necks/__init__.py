"""The neck: from C5 to the thin feature map."""

from lighthead.models.necks.large_separable_conv import LargeSeparableConv

__all__ = ['LargeSeparableConv']
