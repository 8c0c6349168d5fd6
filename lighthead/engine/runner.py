"""The runner of every training and test: mmengine's, with checkpoints that are safe and exact.

:mod:`lighthead.engine.checkpointing` says what differs in the checkpoints. Here: the run's seed
reaches the augmentation, rates and schedules go by optimizer steps, the console is quiet, a signal
or a full disk ends the training in order, and a work dir belongs to one training.
"""

import logging
from pathlib import Path
from typing import Any

import torch
from mmengine.logging import MMLogger
from mmengine.optim import OptimWrapper
from mmengine.registry import RUNNERS
from mmengine.runner import Runner
from torch import nn
from torch.utils.data import DataLoader

from lighthead.engine.checkpointing import CheckpointingRunner
from lighthead.engine.console import ConsoleHook, keep_log_files_open, set_console_level
from lighthead.engine.curves import CurvesHook
from lighthead.engine.disk import disk_errors_reported, prepare_work_dir
from lighthead.engine.optimizer_steps import OptimizerStepSchedulerHook, in_steps
from lighthead.engine.step_size import scale_learning_rate
from lighthead.engine.stop_signals import StopRequest
from lighthead.engine.training_state import set_augmentation_seed
from lighthead.engine.work_dir_lock import work_dir_lock
from lighthead.errors import UserError


@RUNNERS.register_module()
class LightHeadRunner(CheckpointingRunner):
    """Runner (same arguments) whose checkpoints are safe and resume exactly.

    Args:
        resume: True for the newest file in ``work_dir`` that loads (from the
            start where there is none), or the path of a checkpoint.

    Attributes:
        trust_checkpoint: Whether files that need unpickling are loaded too.
        stop_request: Whether a signal asked the training to stop.
    """

    def __init__(
        self,
        model: nn.Module | dict,
        work_dir: str,
        *args: Any,
        resume: bool | str | Path = False,
        load_from: str | None = None,
        **kwargs: Any,
    ) -> None:
        prepare_work_dir(work_dir)
        if isinstance(resume, (str, Path)):
            load_from, resume = str(resume), True
        self.stop_request = StopRequest()
        super().__init__(model, work_dir, *args, resume=resume, load_from=load_from, **kwargs)

    @staticmethod
    def build_dataloader(
        dataloader: DataLoader | dict, seed: int | None = None, diff_rank_seed: bool = False
    ) -> DataLoader:
        """As mmengine's, with a random generator of the loader's own and a seeded augmentation.

        Without that generator each start of an epoch or validation would draw from torch's
        global generator, and a resumed run would see other numbers.
        """
        loader = Runner.build_dataloader(dataloader, seed, diff_rank_seed)
        if loader.generator is None:
            loader.generator = torch.Generator()
            loader.generator.manual_seed(seed or 0)
        if seed is not None:
            set_augmentation_seed(loader.dataset, seed)
        return loader

    def train(self) -> nn.Module:
        """Train; the checkpoint to resume from is read first, because its seed orders the data."""
        console = ConsoleHook()
        self.register_hook(console)
        self.register_hook(CurvesHook())
        with work_dir_lock(self.work_dir), self.stop_request, disk_errors_reported(self):
            try:
                self.prepare_checkpoints()
                return super().train()
            finally:
                console.end_line()

    def val(self) -> dict:
        """Validate, with mmengine's messages on the console."""
        set_console_level(self.logger, logging.INFO)
        return super().val()

    def test(self) -> dict:
        """Test, with mmengine's messages on the console."""
        set_console_level(self.logger, logging.INFO)
        return super().test()

    def build_logger(self, *args: Any, **kwargs: Any) -> MMLogger:
        """As mmengine's; below warnings, a training's messages go to the log file only."""
        logger = super().build_logger(*args, **kwargs)
        set_console_level(logger, logging.WARNING)
        keep_log_files_open(logger)
        return logger

    def scale_lr(self, optim_wrapper: OptimWrapper, auto_scale_lr: dict | None = None) -> None:
        """As mmengine's, but accumulated iterations count as parts of a step."""
        if auto_scale_lr and auto_scale_lr.get('enable'):
            base = auto_scale_lr.get('base_batch_size') or 0
            if base <= 0:
                raise UserError('auto_scale_lr needs base_batch_size, the images per step.')
            scale_learning_rate(optim_wrapper, self.step_size, base, self.logger)

    def build_param_scheduler(self, scheduler: Any) -> Any:
        """As mmengine's; under OptimizerStepSchedulerHook, schedules count optimizer steps."""
        if any(isinstance(hook, OptimizerStepSchedulerHook) for hook in self.hooks):
            accumulated = self.step_size.accumulated
            scheduler = in_steps(scheduler, accumulated, len(self.train_dataloader), self.max_iters)
        return super().build_param_scheduler(scheduler)
