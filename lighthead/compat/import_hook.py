"""What ``import lighthead`` prepares, so that it need not import torch or mmdet itself.

Finders are added to Python's import system (``sys.meta_path``):

- :class:`ExtensionFinder` stands last. It is asked for ``mmcv._ext`` only where
  the installed mmcv has no compiled operators, and answers with those of
  torchvision (:mod:`lighthead.compat.mmcv_ops`).
- :class:`FollowUpFinder` stands first. It changes nothing in how mmdet is
  found or loaded; it only sees to it that, right after ``mmdet.models`` (or
  another package of :data:`REGISTERED_AFTER`) was imported, the package of
  lighthead that registers its own classes is imported too. mmdet's registries
  import these packages before they look a name up, so the names are known
  whenever something is built from a config.
- :class:`lighthead.compat.lazy_sklearn.ReaderFinder` has mmdet import scikit-learn when it is used.

Packages of mmdet that are already imported are followed up at once. Without
this module, ``import lighthead`` would have to import all of torch and mmdet,
which takes 5 seconds, before ``lighthead --help`` could answer.
"""

import importlib
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import TYPE_CHECKING

from lighthead.compat.lazy_sklearn import ReaderFinder

if TYPE_CHECKING:
    from importlib.abc import Loader  # importing it takes longer than all the rest
else:
    Loader = object

EXTENSION = 'mmcv._ext'
REGISTERED_AFTER = {
    'mmdet.models': 'lighthead.models',
    'mmdet.datasets': 'lighthead.data',
    'mmdet.engine': 'lighthead.engine',
    'mmdet.evaluation': 'lighthead.evaluation',
}
"""Package of mmdet -> package of lighthead whose import registers the same kinds of classes."""


def install() -> None:
    """Add the finders, once, and follow up what is already imported."""
    if any(isinstance(finder, FollowUpFinder) for finder in sys.meta_path):
        return
    sys.meta_path.append(ExtensionFinder())
    sys.meta_path.insert(0, ReaderFinder())
    sys.meta_path.insert(0, FollowUpFinder())
    for name in ('mmdet', *REGISTERED_AFTER):
        if name in sys.modules:
            follow_up(name)


def follow_up(name: str) -> None:
    """Do what follows the import of a package of mmdet."""
    if name == 'mmdet':
        from lighthead.compat.install_check import check_mmdet, report_without_traceback

        with report_without_traceback():
            check_mmdet()
    else:
        importlib.import_module(REGISTERED_AFTER[name])


class ExtensionFinder(Loader):
    """Finds and loads ``mmcv._ext`` where no other finder does."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return ModuleSpec(name, self) if name == EXTENSION else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        from lighthead.compat.mmcv_ops import TorchvisionExtension

        return TorchvisionExtension(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Nothing is left to run."""


class FollowUpFinder:
    """Has the other finders look for mmdet's packages, and adds what follows their import."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != 'mmdet' and name not in REGISTERED_AFTER:
            return None
        others = (finder for finder in sys.meta_path if finder is not self)
        specs = (finder.find_spec(name, path, target) for finder in others)
        spec = next((spec for spec in specs if spec is not None), None)
        if spec is not None and spec.loader is not None:
            spec.loader = FollowUpLoader(spec.loader)
        return spec


class FollowUpLoader(Loader):
    """Loads a module with the loader that belongs to it, then calls :func:`follow_up`."""

    def __init__(self, loader: Loader) -> None:
        self.loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self.loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        module.__loader__ = self.loader  # for inspect and resources
        if module.__spec__ is not None:
            module.__spec__.loader = self.loader
        if module.__name__ == 'mmdet':
            from lighthead.compat.install_check import check_libraries, report_without_traceback

            with report_without_traceback():
                check_libraries()
        self.loader.exec_module(module)
        follow_up(module.__name__)
