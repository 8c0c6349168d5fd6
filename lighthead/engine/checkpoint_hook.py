"""The hook that saves checkpoints: which files are written, kept and deleted, and when."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmdet.registry import HOOKS
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner

from lighthead.errors import UserError
from lighthead.files import clean_leftovers, write_text_file

BEST_FILE = 'best.pth'


@HOOKS.register_module()
class SafeCheckpointHook(Hook):
    """Saves epoch_N.pth, iter_N.pth and best.pth, the weights with the best validation so far.

    An old file is deleted only after its successor is on the disk.
    ``last_checkpoint`` names the newest file, as mmdet's tools expect. An
    epoch's file says that its validation is pending until that is done; then
    it is written again, with the score. ``best.pth`` holds the weights that
    were validated, without what only resuming needs; its ``meta['best']`` has
    the metric's name and value. After SIGINT or SIGTERM the state is saved
    before the process ends (several processes keep the last file instead, since
    each may be in another iteration).

    Args:
        interval: Save every so many epochs, and after the last; 0 or less: only after the last.
        iter_interval: Also save every so many iterations (0: never); of these
            files, the newest is kept.
        max_keep_ckpts: How many of the epochs' files to keep; 0 or less keeps all.
        save_best: Metric that decides which checkpoint is the best, 'auto'
            for the first one that validation reports, or None.
        rule: Whether 'greater' or 'less' is better.
        save_last: Whether the last epoch is saved whatever ``interval`` says.
    """

    priority = 'VERY_LOW'

    def __init__(
        self,
        interval: int = 1,
        iter_interval: int = 0,
        max_keep_ckpts: int = -1,
        save_best: str | None = None,
        rule: str = 'greater',
        save_last: bool = True,
    ) -> None:
        if rule not in ('greater', 'less'):
            raise UserError(f"checkpoint.rule={rule!r} must be 'greater' or 'less'.")
        self.interval, self.iter_interval = interval, iter_interval
        self.max_keep_ckpts, self.save_last = max_keep_ckpts, save_last
        self.save_best, self.rule = save_best, rule
        self._epoch_files: list[str] = []
        self._iter_files: list[str] = []
        self._best: dict | None = None
        self._pending_file: str | None = None
        self._is_training = False

    def before_train(self, runner: Runner) -> None:
        """Clear away what a killed process left."""
        runner.stop_request.finish_iteration = not runner.distributed
        self._is_training = True
        if is_main_process():
            for name in clean_leftovers(Path(runner.work_dir)):
                runner.logger.info(f'Deleted {name}, which an interrupted run left half written.')
        self._trim(Path(runner.work_dir))

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Save every ``iter_interval`` iterations, unless the epoch's file comes next anyway."""
        if self.end_of_epoch(runner.train_dataloader, batch_idx) and self._epoch_due(runner):
            return
        due = self.iter_interval > 0 and self.every_n_train_iters(runner, self.iter_interval)
        if due or runner.stop_request.name:
            self._iter_files.append(f'iter_{runner.iter + 1}.pth')
            self._save(runner, self._iter_files[-1], by_epoch=False)
        self._stop_if_requested(runner)

    def after_train_epoch(self, runner: Runner) -> None:
        """Save every ``interval`` epochs."""
        if self._epoch_due(runner):
            name = f'epoch_{runner.epoch + 1}.pth'
            self._remember_epoch(name)
            self._save(runner, name, by_epoch=True)
            self._pending_file = name
        self._stop_if_requested(runner)

    def after_val_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Stop a validation inside a training; a resumed run repeats it."""
        if self._is_training:
            self._stop_if_requested(runner)

    def after_val_epoch(self, runner: Runner, metrics: Mapping | None = None) -> None:
        """Save the best checkpoint, and note in the epoch's file that it was validated."""
        if not self._is_training:  # validation alone, not inside a training
            return
        position = {'epoch': runner.epoch, 'iter': runner.iter}
        self._save_best(runner, metrics or {}, position)
        if self._pending_file is not None:
            self._save(runner, self._pending_file, by_epoch=False, meta=position)
            self._pending_file = None

    def after_train(self, runner: Runner) -> None:
        """Validation from here on is no longer a part of training."""
        self._is_training = False
        runner.stop_request.finish_iteration = False

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Add what this hook must know when the training resumes."""
        if 'train_state' in checkpoint:
            checkpoint['train_state']['best'] = self._best
            checkpoint['train_state']['epoch_files'] = list(self._epoch_files)
            checkpoint['train_state']['iter_files'] = list(self._iter_files)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Take that back from a checkpoint that is resumed."""
        state = checkpoint.get('train_state')
        if not runner.is_resuming or state is None:
            return
        self._best = state.get('best')
        runner.message_hub.update_info('best_checkpoint', self._best)
        self._epoch_files = list(state.get('epoch_files') or ())
        self._iter_files = list(state.get('iter_files') or ())
        if state.get('pending_val'):
            self._pending_file = f'epoch_{checkpoint["meta"]["epoch"]}.pth'
            self._remember_epoch(self._pending_file)

    def _stop_if_requested(self, runner: Runner) -> None:
        if runner.stop_request.name:
            runner.logger.warning(
                f'Stopped by {runner.stop_request.name}: continue with --resume '
                f'({runner.message_hub.get_info("last_ckpt", "no checkpoint was written yet")}).'
            )
            runner.stop_request.raise_if_requested()

    def _epoch_due(self, runner: Runner) -> bool:
        last = self.save_last and self.is_last_train_epoch(runner)
        return last or (self.interval > 0 and self.every_n_epochs(runner, self.interval))

    def _remember_epoch(self, name: str) -> None:
        self._epoch_files = [other for other in self._epoch_files if other != name] + [name]

    def _save(self, runner: Runner, name: str, by_epoch: bool, meta: dict | None = None) -> None:
        folder = Path(runner.work_dir)
        runner.save_checkpoint(str(folder), name, meta=meta, by_epoch=by_epoch)
        path = folder / name
        runner.message_hub.update_info('last_ckpt', str(path))
        if is_main_process():
            write_text_file(str(path), folder / 'last_checkpoint')
        runner.logger.info(f'Saved {name}')
        if name in self._epoch_files:  # newer than any file of an iteration
            self._delete(folder, self._iter_files)
            self._iter_files = []
        self._trim(folder)

    def _trim(self, folder: Path) -> None:
        keep = self.max_keep_ckpts if self.max_keep_ckpts > 0 else len(self._epoch_files)
        cut = max(0, len(self._epoch_files) - keep)
        self._delete(folder, self._epoch_files[:cut] + self._iter_files[:-1])
        self._epoch_files, self._iter_files = self._epoch_files[cut:], self._iter_files[-1:]

    def _delete(self, folder: Path, names: list[str]) -> None:
        if is_main_process():
            for name in names:
                (folder / name).unlink(missing_ok=True)

    def _save_best(self, runner: Runner, metrics: Mapping, position: dict) -> None:
        key, score = self._score(runner, metrics)
        if score is None:
            return
        if self._best is not None and not self._better(score, self._best['score']):
            return
        best = {'key': key, 'score': score, 'file': BEST_FILE, 'epoch': position['epoch']}
        runner.save_checkpoint(
            str(runner.work_dir),
            BEST_FILE,
            save_optimizer=False,
            save_param_scheduler=False,
            meta={**position, 'best': {'metric': key, 'value': score}},
            by_epoch=False,
        )
        self._best = best
        runner.message_hub.update_info('best_checkpoint', best)
        runner.logger.info(f'Saved {BEST_FILE}: the best {key} so far, {score:.4f}')

    def _score(self, runner: Runner, metrics: Mapping) -> tuple[str, float | None]:
        """The metric to go by and its value; None where validation did not give a number."""
        if self.save_best is None:
            return '', None
        key = self.save_best
        if key == 'auto':
            numbers = (k for k, v in metrics.items() if isinstance(v, (int, float)))
            key = self._best['key'] if self._best else next(numbers, 'auto')
        score = metrics.get(key)
        if score is None or not math.isfinite(score):
            reported = ', '.join(metrics) or 'nothing'
            runner.logger.warning(
                f'No best checkpoint: validation gave no number for {key} (it gave: {reported}).'
            )
            return key, None
        return key, float(score)

    def _better(self, score: float, best: float) -> bool:
        return score > best if self.rule == 'greater' else score < best
