"""Batch-norm statistics as plain means over the training images, measured after the last step.

The ShuffleNetV2 authors' training code (arXiv 1807.11164) does this at the end of pretraining: one
more epoch at rate 0 in which each norm averages the statistics of all batches alike, instead of
mostly the last ones. Several processes average theirs, as one batch norm over all images would.
"""

import math
from collections.abc import Iterable
from itertools import islice

import torch
from mmdet.registry import HOOKS
from mmengine.dist import all_reduce, get_world_size
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from lighthead.engine.ema import OptimizerStepEMAHook

FILE = 'reestimated.pth'


@torch.no_grad()
def reestimate_norms(model: nn.Module, batches: Iterable[Tensor]) -> int:
    """Give every norm that trains the mean over ``batches`` of its batches' statistics, in place.

    Norms in eval mode (frozen ones, identities) keep theirs. Every process must call it.

    Returns:
        How many norms were measured.
    """
    model.train()
    norms = [m for m in model.modules() if isinstance(m, _BatchNorm) and m.training]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # torch's name for the plain mean
    for batch in batches if norms else ():
        model(batch)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
        all_reduce(norm.running_mean, 'mean')
        all_reduce(norm.running_var, 'mean')
    return len(norms)


@HOOKS.register_module()
class ReestimateNormsHook(Hook):
    """After a pretraining: measure the norms' statistics, save ``reestimated.pth``, validate it.

    It does nothing where no norm trains, and where weights are averaged, whose statistics are
    averaged with them.

    Args:
        images: Training images that are passed, over all processes; ImageNet's by default.
    """

    priority = 'LOWEST'  # after the checkpoint hook has finished, whose files stay as they are

    def __init__(self, images: int = 1_280_000) -> None:
        self.images = images

    def after_train(self, runner: Runner) -> None:
        """Measure, save and validate."""
        if any(isinstance(hook, OptimizerStepEMAHook) for hook in runner.hooks):
            return
        model, loader = runner.bare_model, runner.train_dataloader
        count = math.ceil(self.images / (runner.cfg.train_dataloader.batch_size * get_world_size()))
        batches = islice(loader, min(count, len(loader)))
        inputs = (model.data_preprocessor(batch, True)['inputs'] for batch in batches)
        if not reestimate_norms(model, inputs):
            return
        runner.save_checkpoint(
            runner.work_dir,
            FILE,
            save_optimizer=False,
            save_param_scheduler=False,
            meta=dict(epoch=runner.epoch, iter=runner.iter),
            by_epoch=False,
        )
        runner.logger.info(f'Saved {FILE}: norm statistics over {count} batches of each process')
        if runner.val_loop is not None:
            runner.val_loop.run()
