"""Inference: from images and videos to boxes in their pixels."""

from lighthead.inference.detector import Detector
from lighthead.inference.images import ImageError
from lighthead.inference.results import Detections

__all__ = ['Detections', 'Detector', 'ImageError']
