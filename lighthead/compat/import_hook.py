"""What ``import lighthead`` prepares, so that it need not import torch or mmdet itself.

Finders are added to Python's import system (``sys.meta_path``):

- :class:`ExtensionFinder` stands last. It is asked for ``mmcv._ext`` only where
  the installed mmcv has no compiled operators, and answers with those of
  torchvision (:mod:`lighthead.compat.mmcv_ops`).
- One with :func:`followed_up` stands first. It changes nothing in how mmdet is
  found or loaded; it only sees to it that, right after ``mmdet.models`` (or
  another package of :data:`REGISTERED_AFTER`) was imported, the package of
  lighthead that registers its own classes is imported too. mmdet's registries
  import these packages before they look a name up, so the names are known
  whenever something is built from a config.
- :func:`lighthead.compat.lazy_sklearn.reader_finder` has mmdet import scikit-learn when it is used.

Packages of mmdet that are already imported are followed up at once. Without
this module, ``import lighthead`` would have to import all of torch and mmdet,
which takes 5 seconds, before ``lighthead --help`` could answer.
"""

import importlib
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from types import ModuleType

from lighthead.compat.lazy_sklearn import reader_finder
from lighthead.compat.wrapped_import import Loader, WrappingFinder

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
    if any(isinstance(finder, ExtensionFinder) for finder in sys.meta_path):
        return
    sys.meta_path.append(ExtensionFinder())
    sys.meta_path.insert(0, reader_finder())
    sys.meta_path.insert(0, WrappingFinder(('mmdet', *REGISTERED_AFTER), followed_up))
    for name in ('mmdet', *REGISTERED_AFTER):
        if name in sys.modules:
            follow_up(name)


@contextmanager
def followed_up(name: str) -> Iterator[None]:
    """Check the libraries before mmdet is executed; follow up after it and its packages."""
    if name == 'mmdet':
        from lighthead.compat.install_check import check_libraries, report_without_traceback

        with report_without_traceback():
            check_libraries()
    yield
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
