"""The length of a training: the flag ``--epochs``, and steps."""

from typing import Any

from mmengine.config import Config

from lighthead.errors import UserError


def set_epochs(cfg: Config, value: int) -> None:
    """Another number of epochs; what schedules count in epochs moves in proportion."""
    loop: Any = cfg.get('train_cfg') or {}
    if not loop.get('max_epochs'):
        counted = next((key for key in loop if key.startswith('max_') and loop[key]), 'no epochs')
        raise UserError(
            f'--epochs: the config counts {counted}: --cfg-options train_cfg.{counted}=N.'
        )
    ratio = value / loop.max_epochs
    loop.max_epochs = value
    schedulers = cfg.get('param_scheduler') or []
    for scheduler in [schedulers] if isinstance(schedulers, dict) else schedulers:
        if not scheduler.get('by_epoch', True):
            continue
        for key in ('begin', 'end', 'T_max'):
            if scheduler.get(key):
                scheduler[key] = max(1, round(scheduler[key] * ratio))
        if 'milestones' in scheduler:
            moved = {max(1, round(epoch * ratio)) for epoch in scheduler['milestones']}
            scheduler['milestones'] = sorted(moved)


def set_steps(cfg: Config, steps: int, images: int, step_images: int, validations: int) -> None:
    """So many optimizer steps, in epochs where the config counts those.

    Args:
        images: Training images.
        step_images: Images per step.
        validations: About how often to validate.
    """
    loop = cfg.train_cfg
    if 'max_steps' in loop:
        loop.max_steps, loop.val_steps = steps, max(1, steps // validations)
        return
    set_epochs(cfg, max(1, round(steps * step_images / images)))
    loop.val_interval = max(1, loop.max_epochs // validations)
