"""Metrics. Importing it registers them."""

from lighthead.evaluation.coco_metric import CocoDetMetric

__all__ = ['CocoDetMetric']
