"""A checkpoint behind the detector: read, checked, built and run by torch."""

import os

import torch

from lighthead.checkpoint.build_model import build_detector
from lighthead.checkpoint.checkpoint_files import load_checkpoint_file
from lighthead.checkpoint.specification import read_specification
from lighthead.deploy.precision import check_precision
from lighthead.errors import UserError
from lighthead.inference.preprocess import Preprocess
from lighthead.inference.runtimes.backend import OpenedModel, check_backend, check_threads
from lighthead.inference.runtimes.devices import choose_device
from lighthead.inference.runtimes.torch_backend import torch_backend


def open_checkpoint(
    path: str | os.PathLike,
    device: str | torch.device | None = None,
    backend: str | None = None,
    precision: str | None = None,
    threads: int | None = None,
    trust: bool = False,
) -> OpenedModel:
    """Load a checkpoint into torch.

    Args:
        threads: Of torch, for the whole process; None leaves them as they are.
        trust: Whether to load a checkpoint that is a pickle with code inside.

    Raises:
        UserError: the file or an argument cannot be used.
    """
    if check_backend(backend) != 'torch':
        raise UserError(
            f'The backend {backend!r} runs exported files, and {path} is a checkpoint: export '
            'it with tools/export.py first.'
        )
    check_threads(threads)
    chosen, precision = choose_device(device), precision or 'fp32'
    check_precision(chosen, precision)
    checkpoint = load_checkpoint_file(path, trust=trust)
    specification = read_specification(checkpoint['meta'], path)
    model = build_detector(specification, checkpoint['state_dict'], path)
    if threads is not None:
        torch.set_num_threads(threads)
    return OpenedModel(
        torch_backend(model, chosen, precision),
        Preprocess.from_settings(specification.preprocess),
        list(specification.classes),
        list(specification.category_ids),
        specification.detector.test_cfg.rcnn.nms.iou_threshold,
    )
