"""A module that stands in for ``mmcv._ext`` where mmcv has no compiled operators.

``mmcv-lite`` ships the Python half of ``mmcv.ops`` without the extension
``mmcv._ext`` that it calls, so ``import mmcv.ops`` (and with it most of mmdet)
fails. :mod:`lighthead.compat.import_hook` serves this module under that name,
with the operators of :data:`lighthead.compat.operator_table.OPERATORS`. A compiled mmcv
is left alone. This can go when mmcv has wheels for current torch versions.
"""

from collections.abc import Callable
from types import ModuleType

from lighthead.compat import deform_conv_ops, torchvision_ops  # noqa: F401  they fill the table
from lighthead.compat.operator_table import OPERATORS, needs_compiled


class TorchvisionExtension(ModuleType):
    """``mmcv._ext`` on torchvision's operators; a missing operator fails when it is called."""

    def __init__(self, name: str) -> None:
        super().__init__(name, __doc__)
        vars(self).update(OPERATORS)

    def __getattr__(self, name: str) -> Callable:
        if name.startswith('__'):
            raise AttributeError(name)

        def missing(*args: object, **kwargs: object) -> None:
            raise needs_compiled(name)

        return missing
