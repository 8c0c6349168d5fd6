"""scikit-learn for mmdet when it is used, not when mmdet is imported.

``import mmdet.models`` imports scikit-learn, and with it pandas, for two classes: PAAHead and
InterpolateTracklets. That is a sixth of the time in which a detector starts. While the files of
these two are executed, and only then, they find stand-ins whose attributes import scikit-learn
when they are called. Without this module everything works as before, and starts more slowly; it
can go when mmdet no longer imports scikit-learn at once.
"""

import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from lighthead.compat.wrapped_import import WrappingFinder

READERS = (
    'mmdet.models.dense_heads.paa_head',
    'mmdet.models.task_modules.tracking.interpolation',
)
"""Modules that import it at their top, and call what they import later."""
NAMES = (
    'sklearn',
    'sklearn.mixture',
    'sklearn.gaussian_process',
    'sklearn.gaussian_process.kernels',
)
"""What they import."""


class StandIn(ModuleType):
    """A module whose attributes are functions that call those of the real one."""

    def __getattr__(self, name: str) -> Callable:
        if name.startswith('__'):
            raise AttributeError(name)

        def call(*args: Any, **kwargs: Any) -> Any:
            return getattr(importlib.import_module(self.__name__), name)(*args, **kwargs)

        return call


def reader_finder() -> WrappingFinder:
    """Has :data:`READERS` executed with stand-ins."""
    return WrappingFinder(READERS, stand_ins)


@contextmanager
def stand_ins(_reader: str) -> Iterator[None]:
    """Where scikit-learn is installed and not imported yet, imports find stand-ins meanwhile."""
    if 'sklearn' in sys.modules or importlib.util.find_spec('sklearn') is None:
        yield
        return
    modules = {name: StandIn(name) for name in NAMES}
    for name, module in modules.items():
        parent, _, child = name.rpartition('.')
        if parent:
            setattr(modules[parent], child, module)
    sys.modules.update(modules)
    try:
        yield
    finally:
        for name, module in modules.items():
            if sys.modules.get(name) is module:
                del sys.modules[name]
