"""Training that counts optimizer steps, whatever the number of processes and accumulations.

Where a process cannot hold its share of a step's images, the gradients of
several iterations are accumulated; warm-up, schedules, averaged weights
(:mod:`lighthead.engine.ema`) and the end of a pretraining then go by the step
and not by the iteration. ImageNet pretraining is defined as so many optimizer
steps of 1024 images (arXiv 1807.11164, section 3).
"""

import math
from collections.abc import Iterator
from itertools import islice
from typing import Any

from mmdet.registry import HOOKS, LOOPS
from mmengine.hooks import ParamSchedulerHook
from mmengine.runner import Runner

from lighthead.engine.loop import ResumableEpochLoop
from lighthead.engine.step_size import step_size
from lighthead.errors import UserError

AUTO = 'auto'
STEP_IMAGES = 8
"""Images per step that :func:`choose_steps` counts with."""
STEPS_PER_ROOT = 60
"""100 images: 600 steps (48 epochs); 1000: 1900 (15 epochs); 10,000: 6000 (5 epochs)."""
LEAST_STEPS, MOST_STEPS = 300, 30_000
VALIDATIONS = 15
"""How often a training validates whose steps are chosen."""


def choose_steps(images: int, step_images: int = STEP_IMAGES) -> int:
    """How many steps to train that starts from trained weights.

    It needs neither a fixed number of steps nor a fixed number of epochs; the images that are seen
    grow with the square root of the images that there are.

    Args:
        images: Training images.
        step_images: Images per step.
    """
    steps = min(max(STEPS_PER_ROOT * math.sqrt(images), LEAST_STEPS), MOST_STEPS)
    return max(1, round(steps * STEP_IMAGES / step_images))


@LOOPS.register_module()
class OptimizerStepLoop(ResumableEpochLoop):
    """ResumableEpochLoop that ends after a number of optimizer steps, in the middle of an epoch.

    For pretraining, and for data sets so small that a number of epochs says little.

    Args:
        max_steps: Optimizer steps; ``'auto'``: by the number of images (:func:`choose_steps`).
        val_steps: Validate at the ends of epochs that are about so many steps apart;
            replaces ``val_interval``. ``'auto'``: 15 times in the training.
        kwargs: As mmengine's EpochBasedTrainLoop (``val_interval``, ...).
    """

    def __init__(
        self,
        runner: Runner,
        dataloader: Any,
        max_steps: int | str,
        val_steps: int | str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(runner, dataloader, max_epochs=1, **kwargs)
        if not len(self.dataloader):
            raise UserError(
                'There are fewer training images than one batch of all processes: '
                'lower train_dataloader.batch_size.'
            )
        step = step_size(runner.cfg, self.dataloader, runner.world_size)
        accumulated = step.accumulated
        if max_steps == AUTO:
            max_steps = choose_steps(len(self.dataloader.dataset), step.images)
        self._max_iters = int(max_steps) * accumulated
        self._max_epochs = math.ceil(self._max_iters / len(self.dataloader))
        if val_steps is not None:
            apart = int(max_steps) / VALIDATIONS if val_steps == AUTO else int(val_steps)
            self.val_interval = max(1, round(apart * accumulated / len(self.dataloader)))
            self.dynamic_milestones, self.dynamic_intervals = [0], [self.val_interval]

    def _remaining_batches(self) -> Iterator[Any]:
        return islice(super()._remaining_batches(), self._max_iters - self._iter)


@HOOKS.register_module()
class OptimizerStepSchedulerHook(ParamSchedulerHook):
    """Schedulers with ``by_epoch=False`` move on with each optimizer step."""

    def after_train_iter(self, runner: Runner, *args: Any, **kwargs: Any) -> None:
        """Move on, if this iteration ended with a step."""
        if runner.optim_wrapper.should_update():
            super().after_train_iter(runner, *args, **kwargs)


def in_steps(scheduler: Any, accumulated: int, epoch_iters: int, total_iters: int) -> Any:
    """Configs of schedules that :class:`OptimizerStepSchedulerHook` moves on.

    Numbers of iterations in a config (``end`` of a warm-up) are numbers of
    steps already. What mmengine would derive from the length of an epoch or of
    the training is set here: in steps, rounded up where the last one is short.

    Args:
        scheduler: A config, a list of them, or those of several optimizers by name.
        accumulated: Iterations per step.
        epoch_iters: Iterations per epoch.
        total_iters: Iterations of the training.
    """
    if isinstance(scheduler, (list, tuple)):
        return [in_steps(each, accumulated, epoch_iters, total_iters) for each in scheduler]
    if not isinstance(scheduler, dict):
        return scheduler
    if 'type' not in scheduler:
        return {
            name: in_steps(each, accumulated, epoch_iters, total_iters)
            for name, each in scheduler.items()
        }
    derived = dict(scheduler)
    if scheduler.get('convert_to_iter_based'):
        derived.setdefault('epoch_length', math.ceil(epoch_iters / accumulated))
    elif not scheduler.get('by_epoch', True):
        derived.setdefault('end', math.ceil(total_iters / accumulated))
    return derived
