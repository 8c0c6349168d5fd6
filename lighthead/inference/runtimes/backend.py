"""What runs the network: a small protocol, and which names its choices have.

A backend takes a padded batch and the images' true sizes, and returns boxes in
the frame of that batch. Everything before and after is the detector's.
"""

import os
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from lighthead.errors import UserError
from lighthead.inference.preprocess import Preprocess

BACKENDS = ('torch', 'onnxruntime', 'openvino', 'ncnn')
MOST_THREADS = max(64, 4 * (os.cpu_count() or 1))
"""More threads than that are a typing error; runtimes would try to start them all."""


class RawDetections(NamedTuple):
    """One image's boxes (N, 4) in pixels of the batch, scores (N,) and labels (N,)."""

    boxes: np.ndarray
    scores: np.ndarray
    labels: np.ndarray


class Backend(Protocol):
    """Runs a detector on batches. Threads may share one."""

    device: Any
    """Where it computes: ``'cpu'``, or a torch.device."""
    best_batch_size: int
    """Images per call with which many are done soonest, as measured (docs/fast_path.md)."""

    def make_batch(self, preprocess: Preprocess, images: Sequence[np.ndarray]) -> Any:
        """Normalise resized images, uint8 BGR (h, w, 3), and pad them to a batch (B, 3, H, W)
        that :meth:`__call__` takes."""
        ...

    def __call__(
        self, batch: Any, sizes: Sequence[tuple[int, int]], score_thr: float = 0.0
    ) -> list[RawDetections]:
        """Detect.

        Args:
            batch: (B, 3, H, W), normalised.
            sizes: (height, width) of the B images in it without padding.
            score_thr: Detections with a lower score may be left out, except an image's best
                one. The model has a threshold of its own, below which nothing comes.
        """
        ...


class OpenedModel(NamedTuple):
    """A detector's file, ready to run."""

    backend: Backend
    preprocess: Preprocess
    classes: list[str]
    category_ids: list[int | None]
    iou_thr: float
    """Of the suppression within a class."""


def check_backend(name: str | None) -> str:
    """The backend's name, ``'torch'`` for None; UserError where there is no such backend."""
    if name is None:
        return 'torch'
    if name not in BACKENDS:
        raise UserError(f'There is no backend {name!r}: choose from {", ".join(BACKENDS)}.')
    return name


def check_threads(threads: int | None) -> None:
    """Raise a UserError for a number of threads that no processor needs."""
    if threads is not None and not 1 <= threads <= MOST_THREADS:
        raise UserError(f'threads={threads} is not in 1..{MOST_THREADS}.')
