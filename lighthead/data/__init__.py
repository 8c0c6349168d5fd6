"""Data sets in COCO format: finding, checking, cleaning, sampling. Importing it registers."""

from lighthead.data.dataset import CocoDetDataset
from lighthead.data.image_folder import ImageFolderDataset
from lighthead.data.samplers import ResumableBatchSampler, ResumableSampler

__all__ = ['CocoDetDataset', 'ImageFolderDataset', 'ResumableBatchSampler', 'ResumableSampler']
