"""mmengine's Runner over checkpoints that are plain data and resume exactly.

What differs from mmengine: the config travels as JSON instead of code; the
state of the random generators, the position in the epoch and accumulated
gradients are saved; a damaged newest file is passed over; nothing is fetched
or initialised that the checkpoint overwrites anyway.
"""

import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from mmengine.dist import broadcast_object_list, is_main_process
from mmengine.logging import MMLogger
from mmengine.model import is_model_wrapper
from mmengine.optim import OptimWrapper
from mmengine.registry import RUNNERS
from mmengine.runner import Runner
from torch import nn
from torch.utils.data import DataLoader

from lighthead.checkpoint.describe import trained_meta
from lighthead.checkpoint.safe_files import (
    load_checkpoint_file,
    save_checkpoint_file,
)
from lighthead.engine.console import ConsoleHook, set_console_level
from lighthead.engine.curves import CurvesHook
from lighthead.engine.disk import disk_errors_reported, prepare_work_dir
from lighthead.engine.optimizer_steps import OptimizerStepSchedulerHook, in_steps
from lighthead.engine.resume import (
    load_optimizer,
    load_schedulers,
    path_to_resume,
    read_checkpoint_to_resume,
)
from lighthead.engine.step_size import (
    StepSize,
    check_resumed_step,
    scale_learning_rate,
    step_size,
)
from lighthead.engine.stop_signals import StopRequest
from lighthead.engine.training_state import (
    dataset_meta,
    first_non_finite,
    pretrained_meta,
    restore_pretrained,
    set_augmentation_seed,
    training_state,
)
from lighthead.engine.weights import check_resumed_classes, load_weights
from lighthead.engine.work_dir_lock import work_dir_lock
from lighthead.errors import UserError


@RUNNERS.register_module()
class LightHeadRunner(Runner):
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
        *args,
        resume: bool | str | Path = False,
        load_from: str | None = None,
        **kwargs,
    ) -> None:
        prepare_work_dir(work_dir)
        if isinstance(resume, (str, Path)):
            load_from, resume = str(resume), True
        self.trust_checkpoint = False
        self.stop_request = StopRequest()
        self._is_training = False
        self._resume_from: Path | None = None
        self._resume_data: dict | None = None
        self._detector_meta: dict | None = None
        super().__init__(model, work_dir, *args, resume=resume, load_from=load_from, **kwargs)

    @property
    def is_resuming(self) -> bool:
        """Whether this run continues an earlier one."""
        return self._resume

    @property
    def bare_model(self) -> nn.Module:
        """The model without the wrapper of distributed training."""
        return self.model.module if is_model_wrapper(self.model) else self.model

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
        self._is_training = True
        self._console = ConsoleHook()
        self.register_hook(self._console)
        self.register_hook(CurvesHook())
        with work_dir_lock(self.work_dir), self.stop_request, disk_errors_reported(self):
            try:
                if self._resume and not self._has_loaded:
                    self._read_resume_file()
                data = dataset_meta(self.train_dataloader.dataset)
                self._detector_meta = trained_meta(self.cfg, data, self.bare_model.state_dict())
                return super().train()
            finally:
                self._console.end_line()

    def val(self) -> dict:
        """Validate, with mmengine's messages on the console."""
        set_console_level(self.logger, logging.INFO)
        return super().val()

    def test(self) -> dict:
        """Test, with mmengine's messages on the console."""
        set_console_level(self.logger, logging.INFO)
        return super().test()

    def build_logger(self, *args, **kwargs) -> MMLogger:
        """As mmengine's; below warnings, a training's messages go to the log file only."""
        logger = super().build_logger(*args, **kwargs)
        set_console_level(logger, logging.WARNING)
        return logger

    @property
    def step_size(self) -> StepSize:
        """Images per optimizer step, by processes, batch size and accumulation."""
        return step_size(self.cfg, self.train_dataloader, self.world_size)

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

    def load_or_resume(self) -> None:
        """Load what the constructor's ``resume`` and ``load_from`` ask for, once."""
        if self._has_loaded:
            return
        if self._resume_data is not None:
            self.resume(str(self._resume_from))
        elif self._load_from is not None:
            self.load_checkpoint(self._load_from)
        self._has_loaded = True

    def load_checkpoint(
        self,
        filename: str,
        map_location: Any = 'cpu',
        strict: bool = False,
        revise_keys: Any = None,
    ) -> dict:
        """Load the weights of a checkpoint file into the model.

        Before a training, layers of another shape (a head for other classes)
        keep their initialisation, with a warning; before a test, they are an error.
        ``strict``, ``map_location`` and ``revise_keys`` are mmengine's; only
        ``map_location`` has an effect.
        """
        checkpoint = load_checkpoint_file(filename, self.trust_checkpoint, map_location)
        load_weights(self, checkpoint, filename, exact=not self._is_training)
        self._has_loaded = True
        self.logger.info(f'Loaded weights from {filename}')
        return checkpoint

    def resume(
        self,
        filename: str,
        resume_optimizer: bool = True,
        resume_param_scheduler: bool = True,
        map_location: Any = 'cpu',
    ) -> None:
        """Continue the training that wrote ``filename``.

        Called before :meth:`train`, it only notes the file, because parts of
        it are needed before the data loaders are built.
        """
        if self._resume_data is None:
            self._resume, self._load_from = True, filename
            return
        checkpoint, self._resume_data = self._resume_data, None
        meta, state = checkpoint['meta'], checkpoint['train_state']
        check_resumed_classes(checkpoint, filename, self.train_dataloader.dataset)
        check_resumed_step(
            state.get('step'), self.step_size, filename, bool(state.get('epoch_iter'))
        )
        load_weights(self, checkpoint, filename, exact=True)
        ratios = load_optimizer(self, checkpoint, filename) if resume_optimizer else []
        if resume_param_scheduler and self.param_schedulers is not None:
            load_schedulers(self, checkpoint.get('param_schedulers'), filename, ratios)
        rng_states = state.get('rng') or []
        rng_state = rng_states[self.rank] if len(rng_states) == self.world_size else None
        if hasattr(self.train_loop, 'resume'):
            self.train_loop.resume(meta['epoch'], meta['iter'], state, rng_state)
        else:
            self.train_loop._epoch, self.train_loop._iter = meta['epoch'], meta['iter']
        self._has_loaded = True
        self.message_hub.update_info('last_ckpt', str(filename))
        self.logger.info(f'Resumed {filename}: epoch {self.epoch}, iteration {self.iter}')

    def save_checkpoint(
        self,
        out_dir: str,
        filename: str,
        file_client_args: dict | None = None,
        save_optimizer: bool = True,
        save_param_scheduler: bool = True,
        meta: dict | None = None,
        by_epoch: bool = True,
        backend_args: dict | None = None,
    ) -> None:
        """Write a checkpoint; every process must call it, the first one writes.

        Args:
            by_epoch: True where the epoch is complete but not yet counted
                (``after_train_epoch``), False in the middle of one.
            meta: ``epoch`` and ``iter`` to write instead of what ``by_epoch`` implies.
            save_optimizer: False leaves out all that only resuming needs.

        Raises:
            UserError: in every process, if the file cannot be written or a
                weight is not finite. Older files stay.
        """
        if file_client_args is not None or backend_args is not None:
            raise UserError('Checkpoints are written to local folders: leave backend_args out.')
        meta = dict(meta or {})
        meta.setdefault('epoch', self.epoch + 1 if by_epoch else self.epoch)
        meta.setdefault('iter', self.iter if by_epoch else self.iter + 1)
        bad = first_non_finite(self.bare_model)
        if bad is not None:
            raise UserError(
                f'The weights are not finite after iteration {meta["iter"]} ({bad}), so they are '
                f'not saved; the last good checkpoint is {self.message_hub.get_info("last_ckpt")}: '
                'lower the learning rate or clip gradients, then --resume.'
            )
        checkpoint = {'meta': self._meta(meta), 'state_dict': self.bare_model.state_dict()}
        if 'best' in meta:
            checkpoint['meta']['best'] = meta['best']
        if save_optimizer:
            checkpoint.update(training_state(self, meta['epoch'], by_epoch, save_param_scheduler))
        error = None
        if is_main_process():
            self.call_hook('before_save_checkpoint', checkpoint=checkpoint)
            if not save_optimizer:
                checkpoint.pop('ema_state_dict', None)  # the average is in state_dict now
            try:
                save_checkpoint_file(checkpoint, Path(out_dir) / filename)
            except UserError as caught:
                error = str(caught)
        errors = [error]
        broadcast_object_list(errors)  # the others wait here until the file is written
        if errors[0] is not None:
            raise UserError(errors[0])

    def _init_model_weights(self) -> None:
        """Initialise the weights, unless a checkpoint is about to bring all of them."""
        if self._resume_data is None:
            super()._init_model_weights()
        else:
            restore_pretrained(self.bare_model, self._resume_data['meta'].get('pretrained'))

    def _read_resume_file(self) -> None:
        path = path_to_resume(self._load_from, self.work_dir)
        if path is None:
            self.logger.info(f'No checkpoint to resume in {self.work_dir}: starting afresh.')
            return
        checkpoint = read_checkpoint_to_resume(path, self.trust_checkpoint)
        seed, configured = checkpoint['meta'].get('seed'), self._randomness_cfg.get('seed')
        if seed is not None and seed != configured:
            if configured is not None:
                self.logger.warning(f'Seed {seed} of the checkpoint replaces {configured}.')
            self._randomness_cfg.update(seed=seed)
            self.set_randomness(**self._randomness_cfg)
        self._resume_from, self._resume_data = Path(path), checkpoint

    def _meta(self, position: Mapping) -> dict:
        import lighthead

        return {
            'lighthead_version': lighthead.__version__,
            **(self._detector_meta or {}),
            'dataset_meta': dataset_meta(self.train_dataloader.dataset),
            'epoch': position['epoch'],
            'iter': position['iter'],
            'seed': self.seed,
            'time': datetime.now(UTC).isoformat(timespec='microseconds'),
            'pretrained': pretrained_meta(self.bare_model),
            'weights': 'raw',  # OptimizerStepEMAHook changes it
        }
