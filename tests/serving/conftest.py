"""The small detector of the inference tests, and their pictures."""

from ..inference.conftest import checkpoint, pictures

__all__ = ['checkpoint', 'pictures']
