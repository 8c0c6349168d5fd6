"""Metrics. Importing it registers them."""

from lighthead.evaluation.coco_metric import CocoDetMetric
from lighthead.evaluation.top_k import TopKAccuracy

__all__ = ['CocoDetMetric', 'TopKAccuracy']
