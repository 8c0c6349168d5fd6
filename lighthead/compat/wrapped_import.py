"""Doing something before and after a module of another library is executed."""

import sys
from collections.abc import Callable, Container, Sequence
from contextlib import AbstractContextManager
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from importlib.abc import Loader as Loader  # importing it takes longer than all the rest
else:
    Loader = object

Around = Callable[[str], AbstractContextManager[None]]
"""Makes, for the name of a module, the context in which it is executed."""


class WrappingFinder:
    """Has the other finders look for some modules, and executes these inside a context."""

    def __init__(self, names: Container[str], around: Around) -> None:
        self.names, self.around = names, around

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name not in self.names:
            return None
        others = (finder for finder in sys.meta_path if finder is not self)
        specs = (finder.find_spec(name, path, target) for finder in others)
        spec = next((spec for spec in specs if spec is not None), None)
        if spec is not None and spec.loader is not None:
            spec.loader = WrappingLoader(spec.loader, self.around)
        return spec


class WrappingLoader(Loader):
    """Loads a module with the loader that belongs to it, inside a context."""

    def __init__(self, loader: Loader, around: Around) -> None:
        self.loader, self.around = loader, around

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self.loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        module.__loader__ = self.loader  # for inspect and resources
        if module.__spec__ is not None:
            module.__spec__.loader = self.loader
        with self.around(module.__name__):
            self.loader.exec_module(module)
