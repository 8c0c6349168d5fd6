"""Make ``mmcv.ops`` importable where mmcv has no compiled operators.

``mmcv-lite`` ships the Python half of ``mmcv.ops`` without the extension
``mmcv._ext`` that it calls, so ``import mmcv.ops`` (and with it most of mmdet)
fails. :func:`install` puts a module of that name into ``sys.modules``, before
the first ``import mmcv.ops``, that answers with
:mod:`lighthead.compat.torchvision_ops`. A compiled mmcv is left alone. This
can go when mmcv has wheels for current torch versions.
"""

import importlib.util
import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from types import ModuleType

from lighthead.compat.torchvision_ops import OPERATORS, needs_compiled

EXTENSION = 'mmcv._ext'


def install() -> bool:
    """Answer for ``mmcv._ext`` unless mmcv has it; tell whether the stand-in serves now."""
    served = sys.modules.get(EXTENSION)
    if served is None:
        if importlib.util.find_spec(EXTENSION) is not None:
            return False
        served = sys.modules[EXTENSION] = TorchvisionExtension()
        sys.modules['mmcv']._ext = served  # type: ignore[attr-defined]
    return isinstance(served, TorchvisionExtension)


class TorchvisionExtension(ModuleType):
    """The module that stands in for ``mmcv._ext``; a missing operator fails when called."""

    def __init__(self) -> None:
        super().__init__(EXTENSION, __doc__)
        self.__spec__ = ModuleSpec(EXTENSION, loader=None)
        vars(self).update(OPERATORS)

    def __getattr__(self, name: str) -> Callable:
        if name.startswith('__'):
            raise AttributeError(name)

        def missing(*args: object, **kwargs: object) -> None:
            raise needs_compiled(name)

        return missing
