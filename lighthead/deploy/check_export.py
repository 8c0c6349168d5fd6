"""Every exported file is compared with torch before it is kept."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from mmdet.models.detectors import BaseDetector
from torch import Tensor

from lighthead.deploy.compare_detections import (
    LEAST_SCORE,
    Agreement,
    ImageDetections,
    all_candidates,
    compare,
)
from lighthead.deploy.exportable_suppression import exportable_detector
from lighthead.deploy.metadata import SIZE_DIVISOR
from lighthead.deploy.stages import DetectorStages
from lighthead.errors import UserError

Run = Callable[[Tensor, Sequence[tuple[int, int]]], Sequence[tuple]]
"""A backend: a batch and its true sizes to (boxes, scores, labels) of each image."""

CASES = (
    ('one image', (1, 96, 128)),
    ('one small image', (1, 64, 64)),
    ('three images of different sizes', (3, 160, 224)),
    ('one large image', (1, 320, 256)),
)
"""Batch, height, width; none is the traced one, and 64 x 64 has fewer anchors than proposals."""


def check_export(
    model: BaseDetector, run: Run, least_score: float = LEAST_SCORE
) -> dict[str, Agreement]:
    """Compare a backend with torch, case by case.

    Random images have many candidates at a low threshold; a blank one (all
    zeros after normalisation) stands for an image without objects.

    Args:
        model: What was exported.
        run: The exported file's backend.
        least_score: Detections with a lower score are not compared.

    Cases are at least as large as the ``least_side`` of ``run``, where it has one.
    """
    module = exportable_detector(model)
    generator = torch.Generator().manual_seed(1)
    cases = {}
    least = -(-getattr(run, 'least_side', 1) // SIZE_DIVISOR) * SIZE_DIVISOR
    for name, (batch, height, width) in CASES:
        height, width = max(height, least), max(width, least)
        images = _picture_like(generator, batch, height, width)
        cases[name] = (images, _true_sizes(batch, height, width))
    cases['an image without objects'] = (torch.zeros(1, 3, 128, 96), [(128, 96)])
    return {
        name: compare_batch(module, run, images, sizes, least_score)
        for name, (images, sizes) in cases.items()
    }


@torch.inference_mode()
def compare_batch(
    module: DetectorStages,
    run: Run,
    images: Tensor,
    sizes: Sequence[tuple[int, int]],
    least_score: float = LEAST_SCORE,
) -> Agreement:
    """Compare on one batch; what lies in the padding is set to zero first."""
    for image, (height, width) in zip(images, sizes, strict=True):
        image[:, height:] = 0
        image[:, :, width:] = 0
    limits = torch.tensor(sizes, dtype=torch.float32)
    reference = module(images, limits)
    candidates = all_candidates(module, images, limits)
    result = Agreement()
    for index, (boxes, scores, labels) in enumerate(run(images, sizes)):
        expected = ImageDetections.of_outputs(reference, index)
        other = ImageDetections(*(torch.as_tensor(np.asarray(v)) for v in (boxes, scores, labels)))
        result.add(compare(module, expected, other, candidates[index], least_score))
    return result


def compared(results: dict[str, Agreement]) -> int:
    """How many detections were compared."""
    return sum(result.total for result in results.values())


def require_agreement(results: dict[str, Agreement], what: str) -> None:
    """Raise a UserError for the first case that does not agree, and where nothing was compared."""
    for name, result in results.items():
        if not result.ok:
            raise UserError(
                f'{what} does not agree with torch on {name}: {result}. The file was not kept: '
                'report this with the checkpoint.'
            )
    if not compared(results):
        raise UserError(
            f'{what} could not be compared with torch: the detector finds nothing at all, even '
            'without thresholds. The file was not kept: train the checkpoint further.'
        )


def _picture_like(generator: torch.Generator, batch: int, height: int, width: int) -> Tensor:
    """Smooth random colours with noise, normalised."""
    coarse = torch.randn(batch, 3, height // 16, width // 16, generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, (height, width), mode='bilinear')
    return smooth + 0.2 * torch.randn(batch, 3, height, width, generator=generator)


def _true_sizes(batch: int, height: int, width: int) -> list[tuple[int, int]]:
    return [(height - 9 * index, width - 14 * index) for index in range(batch)]
