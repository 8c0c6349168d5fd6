"""lighthead: ShuffleNetV2* behind a Light-Head R-CNN head, for MMDetection.

``import lighthead`` registers everything of the project in mmdet's registries.
Where mmcv has no compiled operators (mmcv-lite), it also makes ``mmcv.ops``
work on torchvision's, so import it before ``mmdet.apis`` and ``mmdet.models``.
"""

from lighthead.compat.install_check import check_install

check_install()

from lighthead.compat import mmcv_ops  # noqa: E402

mmcv_ops.install()

# They register. The models come first: the layouts of pretrained weights need the backbones.
from lighthead import models  # noqa: E402, F401, I001
from lighthead import data, engine, evaluation  # noqa: E402, F401

__version__ = '0.1.0'
__all__ = ['Detector', '__version__']


def __getattr__(name: str) -> object:
    if name == 'Detector':
        from lighthead.inference import Detector

        return Detector
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
