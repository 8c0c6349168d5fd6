"""Training steps of a config: loaded batches, a number of steps in a row, operators' shares."""

import itertools
import math
import time
from argparse import Namespace
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from mmdet.models.detectors import BaseDetector
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.optim import OptimWrapper, build_optim_wrapper
from mmengine.registry import DefaultScope
from mmengine.runner import Runner

from lighthead.config.flags import changes_of
from lighthead.config.read import read
from lighthead.speed.harness.profiling import profile_calls
from lighthead.speed.harness.timer import on_device, synchronise
from lighthead.weights import adapt_model_cfg

BATCHES = 4
"""Batches that are loaded and taken in turn."""
STILL_RATE = 1e-6
"""Learning rate of timed steps: the weights stay where they are, and so does the work."""
DENSE = ('convolution', 'mkldnn', 'cudnn', 'addmm', 'aten::mm', 'linear')
"""Parts of the names of what computes convolutions and fully connected layers."""
ENDS = 10
"""Steps at the beginning and the end whose mean losses are reported."""


@dataclass
class TrainingStep:
    """A detector and its optimizer; a call takes one training step on the next batch.

    ``items`` are the images of a step, ``loading`` the seconds that a batch took to load
    without workers.
    """

    model: BaseDetector
    wrapper: OptimWrapper
    batches: Iterator[dict]
    items: int
    loading: float

    def __call__(self) -> dict:
        with DefaultScope.overwrite_default_scope('mmdet'):
            return self.model.train_step(next(self.batches), optim_wrapper=self.wrapper)


def training_config(name: str, cfg_options: Mapping | None = None, **flags: Any) -> Config:
    """The config of this name as ``lighthead train`` reads it, with its flags as keywords."""
    changes = [set_plain_optimizer, *changes_of(Namespace(**flags))]
    cfg = read(name, changes, cfg_options).cfg
    adapt_model_cfg(cfg.model)
    return cfg


def set_plain_optimizer(cfg: Config) -> None:
    """Undo the mixed precision of a config that a run with --amp wrote."""
    cfg.optim_wrapper.type = 'OptimWrapper'
    cfg.optim_wrapper.pop('loss_scale', None)


def build_step(cfg: Config, device: torch.device, endless: bool) -> TrainingStep:
    """Build detector and optimizer; a few batches in turn, or ``endless`` ones as they load."""
    with DefaultScope.overwrite_default_scope('mmdet'):
        model = MODELS.build(cfg.model)
        model.init_weights()
        model = model.to(device).train()
        wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
        loader = Runner.build_dataloader(cfg.train_dataloader)
        batches: Iterator[dict]
        if endless:
            batches, loading = itertools.chain.from_iterable(itertools.repeat(loader)), math.nan
        else:
            begin = time.perf_counter()
            loaded = list(itertools.islice(iter(loader), BATCHES))
            batches = itertools.cycle(loaded)
            loading = (time.perf_counter() - begin) / len(loaded)
    return TrainingStep(model, wrapper, batches, cfg.train_dataloader.batch_size, loading)


def train_steps(step: TrainingStep, steps: int, device: torch.device) -> dict:
    """Take many steps: mean losses at both ends, seconds per step, share spent on loading.

    Raises:
        ArithmeticError: a loss is not finite.
    """
    losses, waited = [], 0.0
    source = step.batches
    with on_device(device):
        begin = time.perf_counter()
        for index in range(steps):
            before = time.perf_counter()
            batch = next(source)
            waited += time.perf_counter() - before
            step.batches = iter([batch])
            losses.append(step()['loss'].item())
            if not math.isfinite(losses[-1]):
                raise ArithmeticError(f'the loss of step {index + 1} is {losses[-1]}')
        synchronise(device)
        total = time.perf_counter() - begin
    ends = min(ENDS, max(1, steps // 2))
    return {
        'steps': steps,
        'images': step.items,
        'loss_first': sum(losses[:ends]) / ends,
        'loss_last': sum(losses[-ends:]) / ends,
        'seconds_per_step': total / steps,
        'loading_share': waited / total,
    }


def operator_shares(call: Callable[[], object], device: torch.device) -> dict[str, float]:
    """Fractions of an operator's time in one call, largest first; dense layers together."""
    spent: dict[str, float] = defaultdict(float)
    for event, own in profile_calls(call, 1, device)[0]:
        dense = any(part in event.name for part in DENSE)
        spent['convolutions, fully connected' if dense else event.name] += own
    total = sum(spent.values())
    ranked = sorted(spent.items(), key=lambda entry: entry[1], reverse=True)
    return {name: value / total for name, value in ranked}
