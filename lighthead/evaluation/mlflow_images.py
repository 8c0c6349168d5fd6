"""mmengine's MLflow backend with pictures whose names MLflow takes."""

from typing import Any

import numpy as np
from mmdet.registry import VISBACKENDS
from mmengine.visualization import MLflowVisBackend


@VISBACKENDS.register_module()
class MLflowImagesVisBackend(MLflowVisBackend):
    """MLflowVisBackend, same arguments.

    mmengine gives MLflow a picture's name without a suffix and without the step, and MLflow
    refuses names without a suffix: the training would end at its first validation.
    """

    def add_image(self, name: str, image: np.ndarray, step: int = 0, **kwargs: Any) -> None:
        """Record a picture (H, W, 3), uint8 RGB, as ``NAME_STEP.png``."""
        super().add_image(f'{name}_{step}.png', image, step, **kwargs)
