"""Data sets in COCO format: finding, checking, cleaning, sampling. Importing it registers."""

from lighthead.data.dataset import CocoDetDataset
from lighthead.data.image_folder import ImageFolderDataset
from lighthead.data.samplers import ResumableBatchSampler, ResumableSampler
from lighthead.data.zoom import RandomZoom

__all__ = [
    'CocoDetDataset',
    'ImageFolderDataset',
    'RandomZoom',
    'ResumableBatchSampler',
    'ResumableSampler',
]
