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
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from importlib.abc import Loader  # importing it takes longer than all the rest
else:
    Loader = object

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


@contextmanager
def stand_ins() -> Iterator[None]:
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


class ReaderFinder:
    """Has the other finders look for :data:`READERS`, and executes them with stand-ins."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name not in READERS:
            return None
        others = (finder for finder in sys.meta_path if finder is not self)
        specs = (finder.find_spec(name, path, target) for finder in others)
        spec = next((spec for spec in specs if spec is not None), None)
        if spec is not None and spec.loader is not None:
            spec.loader = ReaderLoader(spec.loader)
        return spec


class ReaderLoader(Loader):
    """Loads a module with the loader that belongs to it."""

    def __init__(self, loader: Loader) -> None:
        self.loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self.loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        module.__loader__ = self.loader
        if module.__spec__ is not None:
            module.__spec__.loader = self.loader
        with stand_ins():
            self.loader.exec_module(module)
