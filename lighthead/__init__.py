"""lighthead: ShuffleNetV2* behind a Light-Head R-CNN head, for MMDetection.

``import lighthead`` takes milliseconds and imports neither torch nor mmdet. It
prepares what happens when mmdet is imported, before or after it: lighthead's
backbones, heads, data sets and hooks are registered, and ``mmcv.ops`` works
where mmcv has no compiled operators (:mod:`lighthead.compat.import_hook`).
"""

from typing import TYPE_CHECKING

from lighthead.compat import import_hook

if TYPE_CHECKING:  # what an editor sees; a name that is not here is an error to it
    from lighthead.inference import Detector
else:

    def __getattr__(name: str) -> object:
        """Import :class:`Detector`, and the runtime that it needs, at its first use."""
        if name == 'Detector':
            from lighthead.inference import Detector

            return Detector
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')


__version__ = '0.1.0'
__all__ = ['Detector', '__version__']

import_hook.install()
