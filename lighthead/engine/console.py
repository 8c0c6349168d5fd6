"""What a training prints: a progress line, a line per validation, a summary at the end.

mmengine's log of all details goes to the file in the work dir alone; of it, the
console shows warnings. The progress line is plain text on purpose: a display
that is refreshed by a thread and worker processes that are forked do not go together.
"""

import logging
import shutil
import sys
import time
from collections.abc import Mapping
from datetime import timedelta
from numbers import Real
from typing import Any

from mmengine.dist import is_main_process
from mmengine.hooks import Hook, LoggerHook
from mmengine.logging import MMLogger
from mmengine.runner import Runner

REWRITE_SECONDS = 0.5
"""How often the line on a terminal is rewritten at most."""


def set_console_level(logger: MMLogger, level: int) -> None:
    """Let messages below ``level`` go to the log file only."""
    for handler in logger.handlers:
        if isinstance(handler, logging.StreamHandler) and not isinstance(
            handler, logging.FileHandler
        ):
            handler.setLevel(max(level, logging.ERROR * (not is_main_process())))


def keep_log_files_open(logger: MMLogger) -> None:
    """Let nobody close the log files: ``logging.config`` closes every handler that it finds.

    A server (uvicorn) or a tracker (MLflow) of the same process calls it, and mmengine's
    file handlers, opened to write anew, do not open again.
    """
    for handler in logger.handlers:
        if isinstance(handler, logging.FileHandler):
            handler.close = handler.flush  # type: ignore[method-assign]


class ConsoleHook(Hook):
    """Prints progress: on a terminal in one line that is rewritten, else at each log interval.

    The interval is LoggerHook's. The first of several processes prints.
    """

    priority = 'LOWEST'  # after the checkpoint of the validation

    def __init__(self) -> None:
        self._terminal = sys.stdout.isatty()
        self._line_open = False
        self._written = 0.0
        self._started = time.monotonic()
        self._interval = 50

    def before_train(self, runner: Runner) -> None:
        """Say what is about to run, and where its log is."""
        intervals = [hook.interval for hook in runner.hooks if isinstance(hook, LoggerHook)]
        self._interval = intervals[0] if intervals else self._interval
        self._started = time.monotonic()
        for handler in runner.logger.handlers:  # a warning starts on a line of its own
            handler.addFilter(self._end_line)
        images = f'Training on {len(runner.train_dataloader.dataset)} images'
        if runner.val_loop is not None:
            images += f', validating on {len(runner.val_dataloader.dataset)}'
        steps = f'{runner.step_size.images} per step, {runner.max_iters} iterations'
        self._print(f'{images}; {steps}. Log: {runner.logger.log_file}')

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Show the progress."""
        if self._terminal or self.every_n_inner_iters(batch_idx, self._interval):
            self._progress(
                f'epoch {runner.epoch + 1}/{runner.max_epochs}  '
                f'{batch_idx + 1}/{len(runner.train_dataloader)}  {_figures(runner)}'
            )

    def after_val_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Show how far the validation is, on a terminal."""
        if self._terminal:
            self._progress(f'validating  {batch_idx + 1}/{len(runner.val_dataloader)}')

    def after_val_epoch(self, runner: Runner, metrics: Mapping | None = None) -> None:
        """Print the figures of the validation; -1 stands for an undefined one."""
        figures = '  '.join(
            f'{name.rpartition("/")[2]} {value:.3f}'
            for name, value in (metrics or {}).items()
            if isinstance(value, Real) and float(value) >= 0 and not name.endswith('_precision')
        )
        best = runner.message_hub.get_info('best_checkpoint', None)
        new = bool(best) and best['epoch'] == runner.epoch
        mark = '  (the best so far)' if new else ''
        self._print(f'validation after epoch {runner.epoch}:  {figures or "no figures"}{mark}')

    def after_train(self, runner: Runner) -> None:
        """Print what was done and where the results are."""
        seconds = round(time.monotonic() - self._started)
        self._print(
            f'Trained to epoch {runner.epoch} ({runner.iter} iterations) '
            f'in {timedelta(seconds=seconds)}.'
        )
        best = runner.message_hub.get_info('best_checkpoint', None)
        if best:
            self._print(
                f'Best {best["key"].rpartition("/")[2]}: {best["score"]:.3f} after epoch '
                f'{best["epoch"]}, in {runner.work_dir}/{best["file"]}'
            )
        else:
            self._print(f'Checkpoint: {runner.message_hub.get_info("last_ckpt", None)}')

    def _progress(self, text: str) -> None:
        if not self._terminal:
            self._print(text)
        elif is_main_process() and time.monotonic() - self._written > REWRITE_SECONDS:
            width = shutil.get_terminal_size().columns - 1
            print(f'\r{text[:width]}\x1b[K', end='', flush=True)
            self._line_open, self._written = True, time.monotonic()

    def _print(self, text: str) -> None:
        self.end_line()
        if is_main_process():
            print(text, flush=True)

    def end_line(self) -> None:
        """Finish a progress line, so that other output starts on a line of its own."""
        if self._line_open:
            print(flush=True)
            self._line_open = False

    def _end_line(self, record: logging.LogRecord) -> bool:
        if record.levelno >= logging.WARNING:
            self.end_line()
        return True


def _figures(runner: Runner) -> str:
    """Losses (means of the log window), learning rate and remaining time."""
    scalars = runner.message_hub.log_scalars
    window = runner.log_processor.window_size
    losses = {
        name.removeprefix('train/').removeprefix('loss_'): history.mean(window)
        for name, history in scalars.items()
        if name.startswith('train/') and 'loss' in name
    }
    total = losses.pop('loss', None)
    parts = [] if total is None else [f'loss {total:.3f}']
    if losses:
        parts.append('(' + ' '.join(f'{name} {value:.3f}' for name, value in losses.items()) + ')')
    if 'train/lr' in scalars:
        parts.append(f'lr {scalars["train/lr"].current():.2e}')
    eta = runner.message_hub.get_info('eta', None)
    if eta is not None:
        parts.append(f'eta {timedelta(seconds=int(eta))}')
    return '  '.join(parts)
