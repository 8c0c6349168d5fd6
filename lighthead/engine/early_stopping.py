"""Stop a training whose validation no longer improves; resuming goes on counting."""

from mmdet.registry import HOOKS
from mmengine.hooks import EarlyStoppingHook
from mmengine.runner import Runner


@HOOKS.register_module()
class ResumableEarlyStoppingHook(EarlyStoppingHook):
    """mmengine's EarlyStoppingHook (same arguments) whose count is part of the checkpoints.

    ``dict(type='ResumableEarlyStoppingHook', monitor='coco/bbox_mAP', patience=10)`` ends the
    training after ten validations without a new best. ``best.pth`` is not affected.
    """

    priority = 'LOW'  # before the checkpoint of a validated epoch

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Add the count and the best score."""
        if 'train_state' in checkpoint:
            checkpoint['train_state']['early_stopping'] = {
                'wait_count': self.wait_count,
                'best_score': self.best_score,
                'stopped': bool(runner.train_loop.stop_training),
            }

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Take them back from a checkpoint that is resumed."""
        state = (checkpoint.get('train_state') or {}).get('early_stopping')
        if runner.is_resuming and state is not None:
            self.wait_count, self.best_score = state['wait_count'], state['best_score']
            runner.train_loop.stop_training = state['stopped']
