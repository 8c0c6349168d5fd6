"""What runs the network: a small protocol, and torch behind it.

A backend takes a padded batch and the images' true sizes, and returns boxes in
the frame of that batch. Everything before and after is the detector's.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
import torch
from mmcv.cnn import fuse_conv_bn
from mmdet.models.detectors import BaseDetector
from mmdet.structures import DetDataSample
from torch import Tensor

from lighthead.deploy.cuda_graph import CudaGraphRecorder, RecordedCalls
from lighthead.deploy.eager import EagerDetector
from lighthead.deploy.fixed import FixedDetector
from lighthead.deploy.fused_conv import can_fuse
from lighthead.deploy.test_settings import Settings
from lighthead.errors import UserError

BACKENDS = ('torch', 'onnxruntime', 'openvino')
PRECISIONS = {'fp32': torch.float32, 'bf16': torch.bfloat16, 'fp16': torch.float16}


class RawDetections(NamedTuple):
    """One image's boxes (N, 4) in pixels of the batch, scores (N,) and labels (N,)."""

    boxes: np.ndarray
    scores: np.ndarray
    labels: np.ndarray


class Backend(Protocol):
    """Runs a detector on batches."""

    device: torch.device
    """Where :meth:`__call__` wants its batch."""
    channels_last: bool
    """How the batch should lie in memory."""

    def __call__(self, batch: Tensor, sizes: Sequence[tuple[int, int]]) -> list[RawDetections]:
        """Detect in a batch (B, 3, H, W), normalised; ``sizes`` are the (height, width)
        of the B images in it without padding."""
        ...


class TorchBackend:
    """Torch: the fast path for a Light-Head R-CNN, mmdet's prediction for others.

    On CUDA the fast path is recorded as graphs; elsewhere it is eager.

    Args:
        model: A detector; it is changed and belongs to the backend from now on.
        device: Where to run.
        precision: ``'fp32'``, or ``'bf16'`` or ``'fp16'`` for convolutions and fully
            connected layers (mmdet's prediction runs under autocast).
    """

    channels_last = True

    def __init__(self, model: BaseDetector, device: torch.device, precision: str) -> None:
        check_precision(device, precision)
        self.device = device
        self.dtype = PRECISIONS[precision]
        self.fast = Settings.fits(model)
        self.recorded: RecordedCalls | None = None
        if not self.fast:
            model = fuse_conv_bn(model.eval()).requires_grad_(False)
        elif device.type == 'cuda':
            model = FixedDetector(model).convolve_in(self.dtype)
            self.recorded = RecordedCalls(model.fixed, CudaGraphRecorder(device))
        else:
            fused = device.type == 'cpu' and can_fuse()
            model = EagerDetector(model, onednn=fused).convolve_in(self.dtype)
        self.model = model.to(device, memory_format=torch.channels_last)

    @torch.inference_mode()
    def __call__(self, batch: Tensor, sizes: Sequence[tuple[int, int]]) -> list[RawDetections]:
        """See :class:`Backend`."""
        if not self.fast:
            lower = self.dtype is not torch.float32
            with torch.autocast(self.device.type, self.dtype if lower else None, enabled=lower):
                return self._predict(batch, sizes)
        limits = torch.tensor(sizes, dtype=torch.float32).to(self.device, non_blocking=True)
        if self.recorded is not None:
            return self._replay(self.recorded, batch, limits)
        return [to_arrays(found) for found in self.model(batch, limits)]

    def _replay(
        self, recorded: RecordedCalls, batch: Tensor, limits: Tensor
    ) -> list[RawDetections]:
        """All images in one recorded call and one transfer; again where that was not exact."""
        found = unpack_fixed(recorded(batch, limits).cpu())
        for index, one in enumerate(found):
            if one is None:
                again = self.model(batch[index : index + 1], limits[index : index + 1])
                found[index] = to_arrays(again[0])
        return found

    def _predict(self, batch: Tensor, sizes: Sequence[tuple[int, int]]) -> list[RawDetections]:
        shape = tuple(batch.shape[-2:])
        samples = [
            DetDataSample(
                metainfo=dict(
                    img_shape=tuple(size),
                    ori_shape=tuple(size),
                    scale_factor=(1.0, 1.0),
                    pad_shape=shape,
                    batch_input_shape=shape,
                )
            )
            for size in sizes
        ]
        return [_to_numpy(sample) for sample in self.model.predict(batch, samples, rescale=False)]


def to_arrays(found: Sequence[Tensor]) -> RawDetections:
    """Boxes, scores and labels on any device as arrays."""
    return RawDetections(*(values.cpu().numpy() for values in found))


def unpack_fixed(packed: Tensor) -> list[RawDetections | None]:
    """What :meth:`FixedDetector.fixed` returns, by image; None where it is not exact."""
    found: list[RawDetections | None] = []
    for rows in packed.numpy():
        num, exact = int(rows[-1, 0]), bool(rows[-1, 1])
        boxes, scores, labels = rows[:num, :4], rows[:num, 4], rows[:num, 5].astype(np.int64)
        found.append(RawDetections(boxes, scores, labels) if exact else None)
    return found


def _to_numpy(sample: DetDataSample) -> RawDetections:
    found = sample.pred_instances
    return RawDetections(
        found.bboxes.float().cpu().numpy(),
        found.scores.float().cpu().numpy(),
        found.labels.cpu().numpy(),
    )


def check_backend(name: str | None) -> str:
    """The backend's name, ``'torch'`` for None; UserError where there is no such backend."""
    if name is None:
        return 'torch'
    if name not in BACKENDS:
        raise UserError(f'There is no backend {name!r}: choose from {", ".join(BACKENDS)}.')
    return name


def check_precision(device: torch.device, precision: str) -> None:
    """Raise a UserError where torch cannot compute in ``precision`` on ``device``."""
    if precision not in PRECISIONS:
        raise UserError(
            f'There is no precision {precision!r}: choose from {", ".join(PRECISIONS)}.'
        )
    possible = ['fp32']
    if device.type == 'cpu':
        possible.append('bf16')
    elif device.type == 'cuda':
        possible += ['fp16', 'bf16'] if torch.cuda.is_bf16_supported() else ['fp16']
    if precision not in possible:
        raise UserError(
            f'precision={precision!r} is not possible with torch on {device}: '
            f'choose from {", ".join(possible)}.'
        )


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
    found = accelerator is not None and torch.accelerator.is_available()
    count = torch.accelerator.device_count() if found else 0
    if not found or accelerator.type != chosen.type or (chosen.index or 0) >= count:
        there = f'there are {count} of type {accelerator.type}' if count else 'there is none here'
        raise UserError(f"Device {device!r} is not available ({there}): choose 'cpu'.")
    return chosen
