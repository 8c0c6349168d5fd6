"""The zoom: where image and boxes come to lie."""

import numpy as np
import pytest
import torch
from mmdet.structures.bbox import HorizontalBoxes

from lighthead.data.zoom import RandomZoom

HEIGHT, WIDTH = 60, 80


def corners(scale: float, seed: int) -> np.ndarray:
    """Where the corners of the image lie on the canvas, (2, 2) as (x, y)."""
    zoom = RandomZoom(0.0, scaling_ratio_range=(scale, scale), max_shear_degree=0.0)
    np.random.seed(seed)
    matrix = zoom._get_random_homography_matrix(HEIGHT, WIDTH)
    points = matrix @ np.array([[0, 0, 1], [WIDTH, HEIGHT, 1]]).T
    return points[:2].T


@pytest.mark.parametrize('seed', range(5))
def test_a_smaller_image_lies_on_the_canvas(seed) -> None:
    (left, top), (right, bottom) = corners(0.5, seed)
    assert min(left, top) >= -1e-3
    assert max(right - WIDTH, bottom - HEIGHT) <= 1e-3
    assert right - left == pytest.approx(0.5 * WIDTH)


@pytest.mark.parametrize('seed', range(5))
def test_a_larger_image_covers_the_canvas(seed) -> None:
    (left, top), (right, bottom) = corners(1.5, seed)
    assert max(left, top) <= 1e-3
    assert min(right - WIDTH, bottom - HEIGHT) >= -1e-3


def test_boxes_move_with_their_pixels() -> None:
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    image[20:40, 30:60] = 255
    results = dict(
        img=image,
        gt_bboxes=HorizontalBoxes(torch.tensor([[30.0, 20, 60, 40]])),
        gt_bboxes_labels=np.zeros(1, int),
        gt_ignore_flags=np.zeros(1, bool),
    )
    zoom = RandomZoom(0.0, scaling_ratio_range=(0.7, 0.7), max_shear_degree=0.0)
    moved = zoom(results)
    assert moved['img'].shape == image.shape
    x1, y1, x2, y2 = moved['gt_bboxes'].tensor[0].tolist()
    ys, xs = np.nonzero(moved['img'][..., 0] == 255)
    assert [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1] == pytest.approx(
        [x1, y1, x2, y2], abs=2
    )
