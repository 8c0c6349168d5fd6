"""Metrics, and pictures of what was evaluated. Importing it registers them."""

from lighthead.evaluation.coco_metric import CocoDetMetric
from lighthead.evaluation.drawing_hook import DrawDetectionsHook
from lighthead.evaluation.mlflow_images import MLflowImagesVisBackend
from lighthead.evaluation.top_k import TopKAccuracy
from lighthead.evaluation.validation_images import ValidationImagesHook

__all__ = [
    'CocoDetMetric',
    'DrawDetectionsHook',
    'MLflowImagesVisBackend',
    'TopKAccuracy',
    'ValidationImagesHook',
]
