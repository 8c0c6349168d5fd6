"""Torch behind the detector: eager, from CUDA graphs, or mmdet's own prediction."""

import functools
from collections.abc import Sequence

import numpy as np
import torch
from mmdet.models.detectors import BaseDetector
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData
from torch import Tensor

from lighthead.deploy.cuda_graph import CudaGraphRecorder, RecordedCalls, Recorder
from lighthead.deploy.eager_suppression import EagerSuppression, eager_detector
from lighthead.deploy.fixed_size import fixed_size_detector, pack, unpack
from lighthead.deploy.fold_norms import fold_norms
from lighthead.deploy.fused_conv import fuse_convs, fusion_works
from lighthead.deploy.model_settings import is_supported
from lighthead.deploy.precision import PRECISIONS, check_precision, in_memory_format, tf32
from lighthead.deploy.stages import DetectorStages, Outputs
from lighthead.inference.preprocess import Preprocess
from lighthead.inference.runtimes.backend import Backend, RawDetections


def torch_backend(model: BaseDetector, device: torch.device, precision: str) -> Backend:
    """The backend for a model: recorded on CUDA, eager elsewhere; mmdet's prediction for a model
    that is no Light-Head R-CNN, or does something that the fast path does not know.

    Args:
        model: A detector; it is changed and belongs to the backend from now on.
        device: Where to run.
        precision: See :mod:`lighthead.deploy.precision`; for convolutions and fully connected
            layers (mmdet's prediction runs under autocast).
    """
    check_precision(device, precision)
    if not is_supported(model):
        return MmdetBackend(model, device, precision)
    if device.type == 'cuda':
        return RecordedBackend(model, device, precision, CudaGraphRecorder(device))
    return EagerBackend(model, device, precision)


class TorchBackend:
    """What the backends of torch share: where and how a batch lies in memory."""

    device: torch.device
    channels_last = True
    best_batch_size = 1

    def make_batch(self, preprocess: Preprocess, images: Sequence[np.ndarray]) -> Tensor:
        """See :class:`lighthead.inference.runtimes.backend.Backend`; a GPU normalises itself."""
        if self.device.type == 'cpu':
            return torch.from_numpy(preprocess.batch(images, self.channels_last))
        return batch_on_device(preprocess, images, self.device)


class EagerBackend(TorchBackend):
    """The stages of a Light-Head R-CNN, called as they are."""

    def __init__(self, model: BaseDetector, device: torch.device, precision: str) -> None:
        self.device = device
        self.best_batch_size = 8 if precision == 'bf16' else 4
        stages = eager_detector(model)
        if device.type == 'cpu' and fusion_works():
            fuse_convs(stages.dense)
        self.stages = on_device(stages, device, PRECISIONS[precision], True)

    @torch.inference_mode()
    def __call__(
        self, batch: Tensor, sizes: Sequence[tuple[int, int]], score_thr: float = 0.0
    ) -> list[RawDetections]:
        """See :class:`lighthead.inference.runtimes.backend.Backend`."""
        limits = torch.tensor(sizes, dtype=torch.float32).to(self.device)
        stages = self.stages
        if score_thr > stages.settings.score_thr:
            stages = stages.with_suppression(
                functools.partial(EagerSuppression, score_thr=score_thr)
            )
        return to_arrays(stages(batch, limits))


class RecordedBackend(TorchBackend):
    """The stages of a Light-Head R-CNN with fixed sizes, from recordings.

    All images of a batch are one call and one transfer. An image for which the fixed sizes do
    not suffice is computed again by the eager stages.

    Args:
        recorder: Makes the recordings.
    """

    def __init__(
        self, model: BaseDetector, device: torch.device, precision: str, recorder: Recorder
    ) -> None:
        self.device, self.precision = device, precision
        self.best_batch_size = 16
        # cuDNN's float32 kernels are made for planes, its tensor-core kernels for channels-last.
        self.channels_last = precision != 'fp32'
        dtype = PRECISIONS[precision]
        self.stages = on_device(fixed_size_detector(model), device, dtype, self.channels_last)
        self.eager_stages = self.stages.with_suppression(EagerSuppression)
        self.recorded = RecordedCalls(lambda *inputs: pack(self.stages(*inputs)), recorder)

    @torch.inference_mode()
    def __call__(
        self, batch: Tensor, sizes: Sequence[tuple[int, int]], score_thr: float = 0.0
    ) -> list[RawDetections]:
        """See :class:`lighthead.inference.runtimes.backend.Backend`."""
        layout = torch.channels_last if self.channels_last else torch.contiguous_format
        batch = batch.contiguous(memory_format=layout)
        limits = torch.tensor(sizes, dtype=torch.float32).to(self.device, non_blocking=True)
        with tf32(self.precision == 'tf32'):
            outputs = unpack(self.recorded(batch, limits).cpu())
            detections = to_arrays(outputs)
            assert outputs.exact is not None  # of a suppression of fixed size
            for index in (~outputs.exact).nonzero().flatten().tolist():
                image = slice(index, index + 1)
                (detections[index],) = to_arrays(self.eager_stages(batch[image], limits[image]))
        return detections


class MmdetBackend(TorchBackend):
    """mmdet's own prediction, with batch norm folded."""

    def __init__(self, model: BaseDetector, device: torch.device, precision: str) -> None:
        self.device, self.precision = device, precision
        fold_norms(model.eval())
        self.model = model.requires_grad_(False).to(device, memory_format=torch.channels_last)

    @torch.inference_mode()
    def __call__(
        self, batch: Tensor, sizes: Sequence[tuple[int, int]], score_thr: float = 0.0
    ) -> list[RawDetections]:
        """See :class:`lighthead.inference.runtimes.backend.Backend`."""
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
        dtype = PRECISIONS[self.precision]
        lower = dtype is not torch.float32
        autocast = torch.autocast(self.device.type, dtype if lower else None, enabled=lower)
        with autocast, tf32(self.precision == 'tf32'):
            predictions = self.model.predict(batch, samples, rescale=False)
        return [_instances_to_arrays(sample.pred_instances) for sample in predictions]


def batch_on_device(
    preprocess: Preprocess, images: Sequence[np.ndarray], device: torch.device
) -> Tensor:
    """What :meth:`Preprocess.batch` computes, on a GPU: the bytes travel, not the floats."""
    height, width = preprocess.batch_size([image.shape[:2] for image in images])
    batch = torch.empty(len(images), height, width, 3, device=device).permute(0, 3, 1, 2)
    mean, std = (_on(device, tuple(values)) for values in (preprocess.mean, preprocess.std))
    for row, image in zip(batch, images, strict=True):
        h, w = image.shape[:2]
        pixels = torch.from_numpy(image).to(device, non_blocking=True)
        if preprocess.swap_channels:
            pixels = pixels.flip(2)
        row[:, :h, :w].copy_(((pixels.float() - mean) / std).permute(2, 0, 1))
        row[:, h:] = preprocess.pad_value
        row[:, :h, w:] = preprocess.pad_value
    return batch


@functools.cache
def _on(device: torch.device, values: tuple[float, ...]) -> Tensor:
    """Numbers on a device, transferred once."""
    return torch.tensor(values, device=device)


def on_device(
    stages: DetectorStages, device: torch.device, dtype: torch.dtype, channels_last: bool
) -> DetectorStages:
    """The stages on a device, their convolutions in a type and memory format."""
    layout = torch.channels_last if channels_last else torch.contiguous_format
    return in_memory_format(stages.eval().convolve_in(dtype).to(device), layout)


def to_arrays(outputs: Outputs) -> list[RawDetections]:
    """The detections of every image as arrays, without padding."""
    boxes, scores, labels, num = (values.cpu() for values in outputs[:4])
    return [
        RawDetections(*(values[image, :count].numpy() for values in (boxes, scores, labels)))
        for image, count in enumerate(num.tolist())
    ]


def _instances_to_arrays(instances: InstanceData) -> RawDetections:
    return RawDetections(
        instances.bboxes.float().cpu().numpy(),
        instances.scores.float().cpu().numpy(),
        instances.labels.cpu().numpy(),
    )
