"""The hook that stops a training whose loss is infinite or undefined."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from mmdet.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.runner import Runner

from lighthead.errors import UserError


@HOOKS.register_module()
class StopOnNonFiniteLoss(Hook):
    """Stops the training at the first loss that is infinite or undefined.

    It runs before the checkpoint hook, so that the last checkpoint is a good one.
    """

    priority = 'VERY_HIGH'

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Check this iteration's losses.

        Raises:
            UserError: naming iteration, epoch, losses, images and the last good checkpoint.
        """
        losses = {
            key: _number(value)
            for key, value in (outputs or {}).items()
            if 'loss' in key and _is_number(value)
        }
        if all(math.isfinite(value) for value in losses.values()):
            return
        terms = ', '.join(f'{key}={value:g}' for key, value in losses.items())
        last = runner.message_hub.get_info('last_ckpt')
        kept = f'the last good checkpoint is {last}' if last else 'no checkpoint was written yet'
        raise UserError(
            f'The loss is not finite at iteration {runner.iter + 1} (epoch {runner.epoch + 1}, '
            f'batch {batch_idx + 1}): {terms}; images: {_images(data_batch)}; {kept}: check these '
            'images, lower the learning rate or clip gradients, then --resume.'
        )


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) or (torch.is_tensor(value) and value.numel() == 1)


def _number(value: Any) -> float:
    return float(value.detach()) if torch.is_tensor(value) else float(value)


def _images(data_batch: Any) -> str:
    samples = data_batch.get('data_samples') if isinstance(data_batch, Mapping) else None
    paths = [
        getattr(sample, 'metainfo', {}).get('img_path') or getattr(sample, 'img_path', None)
        for sample in (samples if isinstance(samples, (list, tuple)) else ())
    ]
    return ', '.join(str(path) for path in paths if path) or 'unknown'
