"""Images per optimizer step: what the learning rate is scaled to and what a resumed run must keep.

The linear scaling rule (arXiv 1706.02677): a recipe's rate is meant for ``base_batch_size``
images per step; a step of k times as many images takes k times that rate.
"""

from dataclasses import dataclass
from logging import Logger
from typing import Any

from mmengine.config import Config
from mmengine.optim import OptimWrapper
from torch.utils.data import DataLoader

from lighthead.errors import UserError


@dataclass(frozen=True)
class StepSize:
    """How many images make an optimizer step.

    Attributes:
        processes: Processes that train together.
        batch_size: Images per process and iteration.
        accumulated: Iterations whose gradients are accumulated for one step.
    """

    processes: int
    batch_size: int
    accumulated: int = 1

    @property
    def images(self) -> int:
        """Images per optimizer step."""
        return self.processes * self.batch_size * self.accumulated

    def __str__(self) -> str:
        return (
            f'{self.images} images per step (processes: {self.processes}, images of each: '
            f'{self.batch_size}, accumulated iterations: {self.accumulated})'
        )


def step_size(cfg: Config, loader: DataLoader, processes: int) -> StepSize:
    """The step of a run with this config, training data loader and number of processes."""
    accumulated = (cfg.get('optim_wrapper') or {}).get('accumulative_counts', 1)
    batch_size = getattr(loader.batch_sampler, 'batch_size', None) or loader.batch_size or 1
    return StepSize(processes, int(batch_size), int(accumulated))


def scale_learning_rate(
    optim_wrapper: OptimWrapper, step: StepSize, base: int, logger: Logger
) -> None:
    """Scale all parameter groups' rates from ``base`` images per step to those of ``step``."""
    for group in parameter_groups(optim_wrapper):
        group['lr'] *= step.images / base
    logger.info(f'Learning rate x {step.images / base:g}: {step}; the rate is for {base}.')


def parameter_groups(optim_wrapper: OptimWrapper) -> list[dict]:
    """Parameter groups of the optimizer, or of several in order."""
    groups = optim_wrapper.param_groups
    return [g for some in groups.values() for g in some] if isinstance(groups, dict) else groups


def check_resumed_step(saved: Any, now: StepSize, path: Any, inside_epoch: bool) -> None:
    """Refuse to resume with other steps than those that the checkpoint was trained with.

    Another layout of equally many images is allowed at the end of an epoch,
    where no image can be lost or seen twice.

    Args:
        saved: ``dataclasses.asdict`` of a StepSize, from the checkpoint.

    Raises:
        UserError: naming both.
    """
    before = StepSize(**saved) if saved else now
    same_schedule = (before.images, before.accumulated) == (now.images, now.accumulated)
    if before == now or (same_schedule and not inside_epoch):
        return
    ways = 'Resume with the same numbers'
    if same_schedule:
        ways += ', or from an epoch_N.pth (only inside an epoch do they have to agree)'
    raise UserError(
        f'{path} was trained with {before}; now it would be {now}. {ways}, or start a new '
        'training from its weights (load_from).'
    )
