"""ImageNet- or detection-pretrained backbones: find, download, convert, load and check them.

What the package offers is imported when it is asked for, so that a file's facts can be read
(:mod:`lighthead.weights.facts`) where torch is not installed.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lighthead.weights.loading import LoadReport, load_pretrained
    from lighthead.weights.preprocessing import (
        adapt_model_cfg,
        check_preprocessor,
        from_scratch,
        start_from_detector,
    )
    from lighthead.weights.sources import WeightSource, resolve_weight_source

__all__ = [
    'LoadReport',
    'WeightSource',
    'adapt_model_cfg',
    'check_preprocessor',
    'from_scratch',
    'load_pretrained',
    'resolve_weight_source',
    'start_from_detector',
]
_MODULES = {
    'LoadReport': 'loading',
    'load_pretrained': 'loading',
    'adapt_model_cfg': 'preprocessing',
    'check_preprocessor': 'preprocessing',
    'from_scratch': 'preprocessing',
    'start_from_detector': 'preprocessing',
    'WeightSource': 'sources',
    'resolve_weight_source': 'sources',
}

if not TYPE_CHECKING:  # so that a name that is not there is an error to an editor

    def __getattr__(name: str) -> Any:
        if name in _MODULES:
            return getattr(importlib.import_module(f'{__name__}.{_MODULES[name]}'), name)
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
