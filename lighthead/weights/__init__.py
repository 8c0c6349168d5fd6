"""ImageNet- or detection-pretrained backbones: find, download, convert, load and check them."""

from lighthead.weights.loading import LoadReport, load_pretrained
from lighthead.weights.preprocessing import adapt_model_cfg, check_preprocessor, from_scratch
from lighthead.weights.sources import WeightSource, resolve_weight_source

__all__ = [
    'LoadReport',
    'WeightSource',
    'adapt_model_cfg',
    'check_preprocessor',
    'from_scratch',
    'load_pretrained',
    'resolve_weight_source',
]
