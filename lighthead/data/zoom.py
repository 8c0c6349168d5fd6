"""Zooming in and out with a canvas that keeps the image's size."""

import random

import numpy as np
from mmcv.transforms.utils import cache_randomness
from mmdet.datasets.transforms import RandomAffine
from mmdet.registry import TRANSFORMS


@TRANSFORMS.register_module()
class RandomZoom(RandomAffine):
    """mmdet's RandomAffine, whose translation fits the scale.

    A smaller image lies anywhere inside the canvas, a larger one covers all of it, so that no
    part of the canvas is wasted. Arguments as RandomAffine's but ``max_translate_ratio``.
    """

    @cache_randomness
    def _get_random_homography_matrix(self, height: int, width: int) -> np.ndarray:
        scale = random.uniform(*self.scaling_ratio_range)
        angle = random.uniform(-self.max_rotate_degree, self.max_rotate_degree)
        shear = [random.uniform(-self.max_shear_degree, self.max_shear_degree) for _ in range(2)]
        shift = [random.random() * (1 - scale) * side for side in (width, height)]
        centre = [scale * side / 2 for side in (width, height)]
        around_centre = (
            self._get_translation_matrix(*centre)
            @ self._get_shear_matrix(*shear)
            @ self._get_rotation_matrix(angle)
            @ self._get_translation_matrix(-centre[0], -centre[1])
        )
        zoom = self._get_translation_matrix(*shift) @ around_centre
        return zoom @ self._get_scaling_matrix(scale)
