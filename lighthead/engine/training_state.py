"""What a checkpoint says about the model, its data and the training, and how it is put back."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Protocol, runtime_checkable

import torch
from mmengine.dist import all_gather_object, all_reduce, is_distributed
from mmengine.optim import OptimWrapper
from mmengine.runner import Runner
from torch import Tensor, nn

from lighthead.engine.rng import get_rng_state


@runtime_checkable
class KnowsLoadedNorms(Protocol):
    """A backbone that knows which of its norm statistics were trained."""

    loaded_norms: frozenset[str] | None

    def set_loaded_norms(self, names: Sequence[str]) -> None:
        """Declare them."""


def dataset_meta(dataset: Any) -> dict:
    """Classes and category ids of a data set (and its palette), as plain data."""
    metainfo = dict(getattr(dataset, 'metainfo', None) or {})
    ids = metainfo.get('category_ids', getattr(dataset, 'cat_ids', None) or ())
    meta = {
        'classes': [str(name) for name in metainfo.get('classes') or ()],
        'category_ids': [None if cat_id is None else int(cat_id) for cat_id in ids],
    }
    if metainfo.get('palette'):
        meta['palette'] = [tuple(int(value) for value in color) for color in metainfo['palette']]
    return meta


def pretrained_meta(model: nn.Module) -> dict | None:
    """Where the backbone's weights came from and which norm statistics were trained."""
    backbone = _backbone(model)
    if backbone is None or backbone.loaded_norms is None:
        return None
    init_cfg = getattr(backbone, 'init_cfg', None)
    checkpoint = init_cfg.get('checkpoint') if isinstance(init_cfg, Mapping) else None
    return {
        'checkpoint': None if checkpoint is None else str(checkpoint),
        'loaded_norms': sorted(backbone.loaded_norms),
    }


def restore_pretrained(model: nn.Module, pretrained: Mapping | None) -> None:
    """Note in the backbone which norm statistics were trained, without loading them again."""
    backbone = _backbone(model)
    if backbone is not None and pretrained is not None:
        backbone.set_loaded_norms(pretrained['loaded_norms'])


def training_state(runner: Runner, epoch: int, by_epoch: bool, with_schedulers: bool) -> dict:
    """Optimizer, schedules, random states and position, for a checkpoint to resume from.

    Every process must call it.

    Args:
        epoch: Complete epochs, as the checkpoint's meta data count them.
        by_epoch: Whether the epoch is complete but its validation has not run yet.
        with_schedulers: Whether to include the learning-rate schedules.
    """
    loop = runner.train_loop
    state = {'rng': all_gather_object(get_rng_state()), 'step': asdict(runner.step_size)}
    if hasattr(loop, 'state_dict'):
        state.update(loop.state_dict(epoch))
        state['pending_val'] = by_epoch and loop.val_due(epoch)
    state['gradients'] = pending_gradients(runner.bare_model, runner.optim_wrapper)
    collected = {'optimizer': runner.optim_wrapper.state_dict(), 'train_state': state}
    if with_schedulers and runner.param_schedulers is not None:
        groups = {
            name: [scheduler.state_dict() for scheduler in group]
            for name, group in schedulers_by_name(runner.param_schedulers).items()
        }
        collected['param_schedulers'] = groups.get('', groups)
    return collected


def schedulers_by_name(schedulers: Any) -> Mapping[str, list]:
    """Schedulers of several optimizers by name; of the only one under ''."""
    return schedulers if isinstance(schedulers, Mapping) else {'': schedulers}


def first_non_finite(model: nn.Module) -> str | None:
    """Name of the first parameter with an infinite or undefined value, or None."""
    for name, parameter in model.named_parameters():
        if not torch.isfinite(parameter).all():
            return name
    return None


def pending_gradients(model: nn.Module, optim_wrapper: OptimWrapper) -> dict[str, Tensor]:
    """Gradients accumulated since the last optimizer step, averaged over the processes.

    Empty where every iteration steps. With them, a checkpoint taken in the
    middle of an accumulation resumes exactly too. Every process must call it.
    """
    if not isinstance(optim_wrapper, OptimWrapper) or optim_wrapper.should_update():
        return {}
    gradients = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad or (parameter.grad is None and not is_distributed()):
            continue
        grad = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad.clone()
        all_reduce(grad, 'mean')
        gradients[name] = grad
    return gradients


def restore_gradients(model: nn.Module, gradients: Mapping[str, Tensor]) -> None:
    """Put back what :func:`pending_gradients` returned."""
    for name, parameter in model.named_parameters():
        if name in gradients:
            parameter.grad = gradients[name].to(parameter).clone()


def set_augmentation_seed(dataset: Any, seed: int) -> None:
    """Give the run's seed to a data set, or to those inside it, that draw augmentation from one."""
    if hasattr(dataset, 'seed'):
        dataset.seed = seed
    for inner in getattr(dataset, 'datasets', None) or (getattr(dataset, 'dataset', None),):
        if inner is not None:
            set_augmentation_seed(inner, seed)


def _backbone(model: nn.Module) -> KnowsLoadedNorms | None:
    return next((m for m in model.modules() if isinstance(m, KnowsLoadedNorms)), None)
