"""The checkpoint that a training continues from: which one, and its state back in the runner."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.dist import broadcast_object_list, is_main_process
from mmengine.runner import Runner

from lighthead.checkpoint.checkpoint_files import find_latest_checkpoint, load_checkpoint_file
from lighthead.engine.step_size import parameter_groups
from lighthead.engine.training_state import restore_gradients, schedulers_by_name
from lighthead.errors import UserError


def path_to_resume(path: str | None, work_dir: str) -> str | Path | None:
    """``path``, or the newest checkpoint in ``work_dir`` that loads, the same in all processes."""
    if path is not None:
        return path
    latest = [find_latest_checkpoint(work_dir) if is_main_process() else None]
    broadcast_object_list(latest)
    return latest[0]


def read_checkpoint_to_resume(path: Any, trust: bool) -> dict:
    """Load a checkpoint with all that resuming needs.

    Raises:
        UserError: if it holds weights alone.
    """
    checkpoint = load_checkpoint_file(path, trust)
    if 'train_state' not in checkpoint or 'optimizer' not in checkpoint:
        raise UserError(
            f'{path} holds weights only: resume from an epoch_N.pth or iter_N.pth, or start '
            'a new training from its weights with load_from.'
        )
    return checkpoint


def load_optimizer(runner: Runner, checkpoint: Mapping, path: Any) -> list[float]:
    """Load the optimizer's state and the gradients accumulated so far.

    Returns:
        For each parameter group, the configured learning rate divided by the
        checkpoint's, by which the loaded rates have been multiplied: a rate
        that the user changed takes effect.

    Raises:
        UserError: if the optimizer is another one.
    """
    configured = [_initial_rate(group) for group in parameter_groups(runner.optim_wrapper)]
    try:
        runner.optim_wrapper.load_state_dict(checkpoint['optimizer'])
    except (ValueError, KeyError) as error:
        raise UserError(
            f'The optimizer of {path} does not fit the config ({error}): resume with the '
            'config that it was trained with, or start anew with load_from.'
        ) from error
    restore_gradients(runner.bare_model, checkpoint['train_state'].get('gradients') or {})
    ratios = []
    for group, rate in zip(parameter_groups(runner.optim_wrapper), configured):
        ratios.append(rate / _initial_rate(group) if _initial_rate(group) else 1.0)
        if ratios[-1] != 1:
            group['lr'], group['initial_lr'] = group['lr'] * ratios[-1], rate
    changed = sorted({round(ratio, 6) for ratio in ratios if ratio != 1})
    if changed:
        factors = ', '.join(f'{ratio:g}' for ratio in changed)
        runner.logger.warning(f'The learning rate of {path} is multiplied by {factors}.')
    return ratios


def load_schedulers(runner: Runner, saved: Any, path: Any, ratios: list[float]) -> None:
    """Load the state of the learning-rate schedules.

    Args:
        saved: ``param_schedulers`` of the checkpoint.
        ratios: What :func:`load_optimizer` returned.

    Raises:
        UserError: if the config has other schedules.
    """
    current, saved = schedulers_by_name(runner.param_schedulers), schedulers_by_name(saved or [])
    if {name: len(group) for name, group in current.items()} != {
        name: len(group) for name, group in saved.items()
    }:
        raise UserError(
            f'{path} has other param_schedulers than the config: resume with the config that it '
            'was trained with, or start a new training from its weights (load_from).'
        )
    for name, schedulers in current.items():
        for scheduler, state in zip(schedulers, saved[name]):
            scheduler.load_state_dict(state)
            if scheduler.param_name == 'lr' and len(scheduler.base_values) == len(ratios):
                pairs = zip(scheduler.base_values, ratios)
                scheduler.base_values = [value * ratio for value, ratio in pairs]


def _initial_rate(group: Mapping) -> float:
    return float(group.get('initial_lr', group['lr']))
