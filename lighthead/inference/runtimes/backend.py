"""What runs the network: a small protocol, and which names its choices have.

A backend takes a padded batch and the images' true sizes, and returns boxes in
the frame of that batch. Everything before and after is the detector's.
"""

import os
from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from lighthead.errors import UserError

BACKENDS = ('torch', 'onnxruntime', 'openvino')
MOST_THREADS = max(64, 4 * (os.cpu_count() or 1))
"""More threads than that are a typing error; runtimes would try to start them all."""


class RawDetections(NamedTuple):
    """One image's boxes (N, 4) in pixels of the batch, scores (N,) and labels (N,)."""

    boxes: np.ndarray
    scores: np.ndarray
    labels: np.ndarray


class Backend(Protocol):
    """Runs a detector on batches. Threads may share one."""

    device: torch.device
    """Where :meth:`__call__` wants its batch."""
    channels_last: bool
    """How the batch should lie in memory."""

    def __call__(self, batch: Tensor, sizes: Sequence[tuple[int, int]]) -> list[RawDetections]:
        """Detect in a batch (B, 3, H, W), normalised; ``sizes`` are the (height, width)
        of the B images in it without padding."""
        ...


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


def choose_device(device: str | torch.device | None) -> torch.device:
    """The device to use, a GPU where one is there for None; UserError where it is not there."""
    if device is None:
        return torch.device('cuda' if torch.cuda.is_available() else 'cpu')
    try:
        chosen = torch.device(device)
    except RuntimeError as error:
        raise UserError(f"There is no device {device!r}: try 'cpu', 'cuda' or 'cuda:0'.") from error
    if chosen.type == 'cpu':
        return chosen
    accelerator = torch.accelerator.current_accelerator()
    available = accelerator is not None and torch.accelerator.is_available()
    count = torch.accelerator.device_count() if available else 0
    if not available or accelerator.type != chosen.type or (chosen.index or 0) >= count:
        there = f'there are {count} of type {accelerator.type}' if count else 'there is none here'
        raise UserError(f"Device {device!r} is not available ({there}): choose 'cpu'.")
    return chosen
