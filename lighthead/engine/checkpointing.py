"""mmengine's Runner over checkpoints that are plain data and resume exactly.

What differs from mmengine: a checkpoint describes its detector by a closed specification instead
of code; the state of the random generators, the position in the epoch and accumulated gradients are
saved; a damaged newest file is passed over; nothing is fetched or initialised that the
checkpoint overwrites anyway.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mmengine.dist import broadcast_object_list, is_main_process
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import nn

from lighthead.checkpoint.checkpoint_files import load_checkpoint_file, save_checkpoint_file
from lighthead.checkpoint.describe import trained_meta
from lighthead.engine.resume import (
    load_optimizer,
    load_schedulers,
    path_to_resume,
    read_checkpoint_to_resume,
)
from lighthead.engine.step_size import StepSize, check_resumed_step, step_size
from lighthead.engine.training_state import (
    dataset_meta,
    first_non_finite,
    pretrained_meta,
    restore_pretrained,
    training_state,
)
from lighthead.engine.weights import check_resumed_classes, load_weights
from lighthead.errors import UserError


class CheckpointingRunner(Runner):
    """Runner (same arguments) that writes, loads and resumes such checkpoints.

    Attributes:
        trust_checkpoint: Whether files that need unpickling are loaded too.
    """

    _has_loaded: bool

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.trust_checkpoint = False
        self._is_training = False
        self._resume_from: Path | None = None
        self._resume_data: dict | None = None
        self._detector_meta: dict | None = None
        super().__init__(*args, **kwargs)

    @property
    def is_resuming(self) -> bool:
        """Whether this run continues an earlier one."""
        return self._resume

    @property
    def bare_model(self) -> nn.Module:
        """The model without the wrapper of distributed training."""
        return self.model.module if is_model_wrapper(self.model) else self.model

    @property
    def step_size(self) -> StepSize:
        """Images per optimizer step, by processes, batch size and accumulation."""
        return step_size(self.cfg, self.train_dataloader, self.world_size)

    def prepare_checkpoints(self) -> None:
        """Before a training: read the file to resume from, and describe the detector.

        Raises:
            UserError: if a checkpoint of this detector could not be used later.
        """
        self._is_training = True
        if self._resume and not self._has_loaded:
            self._read_resume_file()
        data = dataset_meta(self.train_dataloader.dataset)
        self._detector_meta = trained_meta(self.cfg, data, self.bare_model.state_dict())

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
            meta: ``epoch`` and ``iter`` to write instead of what ``by_epoch`` implies, and
                whatever else the file's meta data shall say.
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
        self._check_finite(meta['iter'])
        checkpoint = {'meta': self._meta(meta), 'state_dict': self.bare_model.state_dict()}
        if save_optimizer:
            checkpoint.update(training_state(self, meta['epoch'], by_epoch, save_param_scheduler))
        error = None
        if is_main_process():
            error = self._write(checkpoint, Path(out_dir) / filename, save_optimizer)
        errors = [error]
        broadcast_object_list(errors)  # the others wait here until the file is written
        if errors[0] is not None:
            raise UserError(errors[0])

    def _check_finite(self, iteration: int) -> None:
        bad = first_non_finite(self.bare_model)
        if bad is not None:
            raise UserError(
                f'The weights are not finite after iteration {iteration} ({bad}), so they are '
                f'not saved; the last good checkpoint is {self.message_hub.get_info("last_ckpt")}: '
                'lower the learning rate or clip gradients, then --resume.'
            )

    def _write(self, checkpoint: dict, path: Path, with_raw_weights: bool) -> str | None:
        """Write the file; return the error message where that fails."""
        self.call_hook('before_save_checkpoint', checkpoint=checkpoint)
        if not with_raw_weights:
            checkpoint.pop('ema_state_dict', None)  # the average is in state_dict now
        try:
            save_checkpoint_file(checkpoint, path)
        except UserError as error:
            return str(error)
        return None

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
            **position,
            'seed': self.seed,
            'time': datetime.now(UTC).isoformat(timespec='microseconds'),
            'pretrained': pretrained_meta(self.bare_model),
            'weights': 'raw',  # OptimizerStepEMAHook changes it
        }
