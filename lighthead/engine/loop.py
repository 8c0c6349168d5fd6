"""The training loop that continues an interrupted epoch where it stopped.

mmengine's epoch loop starts an interrupted epoch again. This one skips the
batches that were trained before, as indices, without loading them, and
puts the random generators back just before the first new one; validation that
was due when the process died comes first. On a CPU, an interrupted and resumed
run ends with the same weights, bit for bit, as one that ran through.
"""

import bisect
from collections.abc import Iterator
from itertools import islice
from typing import Any

from mmdet.registry import LOOPS
from mmengine.runner import EpochBasedTrainLoop
from torch import nn
from torch.utils.data import DataLoader

from lighthead.engine.rng import set_rng_state
from lighthead.errors import UserError


@LOOPS.register_module()
class ResumableEpochLoop(EpochBasedTrainLoop):
    """mmengine's EpochBasedTrainLoop (same arguments) with exact resume.

    Mid-epoch resume is exact with samplers whose order is a function of seed
    and epoch, such as :class:`lighthead.data.samplers.ResumableBatchSampler`.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.epoch_iter = 0
        """Batches of the current epoch that were trained on."""
        self._pending_val = False
        self._rng_state: dict | None = None

    def run(self) -> nn.Module:
        """Train from wherever a checkpoint left off to the end."""
        self.runner.call_hook('before_train')
        if self.epoch_iter == 0:
            self._restore_rng()
        if self._pending_val and self.runner.val_loop is not None:
            self.runner.logger.info(f'Validating epoch {self._epoch}, which was interrupted.')
            self.runner.val_loop.run()
        self._pending_val = False
        while self._epoch < self._max_epochs and not self.stop_training:
            self.run_epoch()
            self._decide_current_val_interval()
            if self.val_due(self._epoch):
                self.runner.val_loop.run()
        self.runner.call_hook('after_train')
        return self.runner.model

    def run_epoch(self) -> None:
        """Train on the batches of this epoch that are still to come."""
        self.runner.call_hook('before_train_epoch')
        self.runner.model.train()
        for index, batch in enumerate(self._remaining_batches(), self.epoch_iter):
            self.run_iter(index, batch)
        self.runner.call_hook('after_train_epoch')
        self._epoch += 1
        self.epoch_iter = 0

    def run_iter(self, idx: int, data_batch: Any) -> None:
        """Train on batch ``idx`` of the epoch."""
        self.epoch_iter = idx + 1  # a hook may save a checkpoint after this iteration
        super().run_iter(idx, data_batch)

    def val_due(self, epochs_done: int) -> bool:
        """Whether the network is validated once ``epochs_done`` epochs are complete."""
        if self.runner.val_loop is None or epochs_done < self.val_begin:
            return False
        step = bisect.bisect(self.dynamic_milestones, epochs_done + 1)
        interval = self.dynamic_intervals[step - 1]
        return epochs_done % interval == 0 or epochs_done == self._max_epochs

    def state_dict(self, epoch: int) -> dict:
        """Position for a checkpoint that says that ``epoch`` epochs are complete."""
        return {
            'epoch_iter': self.epoch_iter if epoch == self._epoch else 0,
            'iters_per_epoch': len(self.dataloader),
        }

    def resume(self, epoch: int, iteration: int, state: dict, rng_state: dict | None) -> None:
        """Take over the position in a checkpoint's ``meta`` and ``train_state``.

        Raises:
            UserError: in the middle of an epoch whose batches are others now.
        """
        self._epoch, self._iter = epoch, iteration
        self.epoch_iter = state.get('epoch_iter', 0)
        before, now = state.get('iters_per_epoch'), len(self.dataloader)
        if before not in (None, now):
            change = f'an epoch had {before} batches when the checkpoint was written and has {now}'
            if self.epoch_iter:
                raise UserError(
                    f'Cannot resume inside an epoch: {change}; use the same data, or resume from '
                    'an epoch_N.pth.'
                )
            self.runner.logger.warning(f'{change}: schedules that count iterations will shift.')
        self._pending_val = bool(state.get('pending_val'))
        self._rng_state = rng_state

    def _remaining_batches(self) -> Iterator[Any]:
        loader = self.dataloader
        if self.epoch_iter:
            done = f'{self.epoch_iter} of {len(loader)} batches'
            self.runner.logger.info(f'Resuming epoch {self._epoch + 1} after {done}.')
            loader = rest_of(loader, self.epoch_iter)
        iterator = iter(loader)
        self._restore_rng()
        return iterator

    def _restore_rng(self) -> None:
        if self._rng_state is not None:
            set_rng_state(self._rng_state)
            self._rng_state = None


def rest_of(loader: DataLoader, skipped: int) -> DataLoader:
    """A loader of the batches after the first ``skipped`` ones.

    Their indices are listed at once, which loads nothing. (Asking the batch
    sampler to skip is not enough: a loader with workers starts it twice.)
    """
    assert loader.batch_sampler is not None  # mmengine builds every loader with one
    return DataLoader(
        loader.dataset,
        batch_sampler=list(islice(loader.batch_sampler, skipped, None)),
        num_workers=loader.num_workers,
        collate_fn=loader.collate_fn,
        pin_memory=loader.pin_memory,
        timeout=loader.timeout,
        worker_init_fn=loader.worker_init_fn,
        multiprocessing_context=loader.multiprocessing_context,
        generator=loader.generator,
        prefetch_factor=loader.prefetch_factor,
    )
