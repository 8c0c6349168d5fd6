"""Libraries' warnings that concern their makers alone, and mmengine's log, kept out of tables."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from mmengine.logging import MMLogger


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Ignore deprecations, the tracer's remarks on torchvision's code, and logs below errors."""
    loggers = [logging.getLogger('torch.onnx'), MMLogger.get_current_instance()]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        for category in (FutureWarning, DeprecationWarning, torch.jit.TracerWarning):
            warnings.simplefilter('ignore', category)
        warnings.filterwarnings('ignore', message='torch.meshgrid')
        warnings.filterwarnings('ignore', message='Constant folding', category=UserWarning)
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
