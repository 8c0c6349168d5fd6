"""Weights averaged over the optimizer steps: what is validated, saved and served.

Light-Head R-CNN's released code (arXiv 1711.07264) averages with decay min(0.9999, (1 + n) /
(10 + n)) at step n. Without that warm-up a short training would serve mostly its first weights:
after 1,250 steps at 0.9999 they still make up 88 % of the average.
"""

from typing import Any

from mmdet.registry import HOOKS
from mmengine.dist import broadcast
from mmengine.hooks import EMAHook
from mmengine.runner import Runner


@HOOKS.register_module()
class OptimizerStepEMAHook(EMAHook):
    """Exponential moving average with momentum max(``momentum``, ``gamma`` / (``gamma`` + n)).

    n counts optimizer steps, not iterations, so gradient accumulation does not
    change it. Batch-norm statistics are averaged as the weights are. A
    checkpoint's ``state_dict`` holds the average, which serves, and
    ``ema_state_dict`` the raw weights (mmengine's names); ``meta['weights']``
    is then 'averaged'.

    Args:
        momentum: Weight of the newest weights late in training.
        gamma: Length of the warm-up: the average covers about the last n / ``gamma`` steps.
        kwargs: As mmengine's EMAHook (``begin_epoch``, ``begin_iter``, ``strict_load``).
    """

    priority = 49  # after SyncBuffersHook (40), before the checkpoint

    def __init__(self, momentum: float = 1e-4, gamma: int = 9, **kwargs: Any) -> None:
        super().__init__(
            ema_type='MomentumAnnealingEMA',
            momentum=momentum,
            gamma=gamma,
            update_buffers=True,
            **kwargs,
        )

    def after_train_iter(self, runner: Runner, *args: Any, **kwargs: Any) -> None:
        """Average, if this iteration ended with an optimizer step."""
        if not runner.optim_wrapper.should_update():
            return
        super().after_train_iter(runner, *args, **kwargs)
        for average, source in zip(self.ema_model.module.buffers(), self.src_model.buffers()):
            if not average.is_floating_point():  # counters, which mmengine leaves as they were
                average.copy_(source)

    def before_val_epoch(self, runner: Runner) -> None:
        """Swap the averaged weights in; all processes validate with the first one's statistics."""
        for buffer in self.ema_model.module.buffers():
            broadcast(buffer)
        super().before_val_epoch(runner)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Put the average into ``state_dict`` and the raw weights into ``ema_state_dict``."""
        super().before_save_checkpoint(runner, checkpoint)
        checkpoint['meta']['weights'] = 'averaged'
