"""How a program uses the package, as a type checker sees it; ``test_types.py`` checks it.

Nothing of it runs. An ignored line is an error that a type checker has to report: mypy says so
where it does not.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import assert_type

import numpy as np
import torch

import lighthead
from lighthead import Detector
from lighthead.inference import Detections
from lighthead.inference.detector import ImageResult
from lighthead.inference.results import Detection
from lighthead.ops import ps_roi_align
from lighthead.weights import WeightSource, resolve_weight_source


def images(detector: Detector, pixels: np.ndarray) -> None:
    assert_type(detector, Detector)
    assert_type(detector('photo.jpg'), Detections)
    assert_type(detector(Path('photo.jpg')), Detections)
    assert_type(detector(pixels, score_thr=0.5, classes='person'), Detections)
    assert_type(detector(['a.jpg', 'b.jpg']), list[Detections])
    assert_type(detector((Path('a.jpg'), pixels)), list[Detections])
    assert_type(detector([pixels, 'a.jpg']), list[Detections])
    assert_type(
        [result.detections for result in detector.stream([pixels])], list[Detections | None]
    )


def one_image(detections: Detections) -> Iterator[float]:
    assert_type(detections[0], Detection)
    assert_type(detections[np.arange(2)], Detections)
    assert_type(detections.filter(0.5)[:3], Detections)
    for detection in detections:
        yield detection.score


def an_unreadable_image(result: ImageResult) -> int:
    return len(result.detections)  # type: ignore[arg-type]


def other_parts(features: torch.Tensor, rois: torch.Tensor) -> None:
    assert_type(ps_roi_align(features, rois, mode='max'), torch.Tensor)
    assert_type(resolve_weight_source('best.pth'), WeightSource)
    assert_type(lighthead.__version__, str)


def mistakes(detector: Detector) -> None:
    detector(5)  # type: ignore[call-overload]
    detector('photo.jpg', threshold=0.5)  # type: ignore[call-overload]
    print(detector('photo.jpg').boxs)  # type: ignore[attr-defined]
    print(lighthead.Detectr)  # type: ignore[attr-defined]
    Detector('best.pth', bach_size=4)  # type: ignore[call-arg]
    ps_roi_align([1.0], 'all')  # type: ignore[arg-type]
