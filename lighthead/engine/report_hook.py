"""A page on the best validation, written when a training ends."""

import os
from collections.abc import Mapping
from pathlib import Path

from mmdet.registry import HOOKS
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner

from lighthead.engine.curves import read_curves
from lighthead.evaluation import CocoDetMetric
from lighthead.evaluation.analysis.evaluated import read_evaluated
from lighthead.evaluation.analysis.page import report_page
from lighthead.files import write_bytes_file
from lighthead.report.write import write_html

PREDICTIONS, LAST, PAGE = 'predictions.json', 'last_predictions.json', 'report.html'


@HOOKS.register_module()
class ReportHook(Hook):
    """Keeps the detections of the best validation, and writes ``report.html`` after the training.

    The detector does not run again. Without a best checkpoint, the last validation counts. It
    does nothing where no CocoDetMetric validates.
    """

    priority = 'LOWEST'  # after the checkpoint of the validation

    def before_val(self, runner: Runner) -> None:
        """Let the metric write its detections."""
        metric = _metric(runner)
        if metric is not None and metric.out is None:
            metric.out = str(Path(runner.work_dir) / LAST)

    def after_val_epoch(self, runner: Runner, metrics: Mapping | None = None) -> None:
        """Keep the detections, if they are the best so far."""
        metric = _metric(runner)
        if metric is None or metric.out is None or not is_main_process():
            return
        best = runner.message_hub.get_info('best_checkpoint', None)
        target, written = Path(runner.work_dir) / PREDICTIONS, Path(metric.out)
        if best and best['epoch'] != runner.epoch:
            if written.name == LAST:
                written.unlink(missing_ok=True)
        elif written.name == LAST:
            os.replace(written, target)
        else:
            write_bytes_file(written.read_bytes(), target)

    def after_train(self, runner: Runner) -> None:
        """Write the page; what goes wrong is only a warning, since the training has ended well."""
        predictions = Path(runner.work_dir) / PREDICTIONS
        metric = _metric(runner)
        if not is_main_process() or metric is None or not predictions.is_file():
            return
        try:
            self._write(runner, metric, predictions)
        except Exception as error:
            runner.logger.warning(f'{PAGE} could not be written ({type(error).__name__}: {error}).')

    def _write(self, runner: Runner, metric: CocoDetMetric, predictions: Path) -> None:
        dataset, work_dir = runner.val_dataloader.dataset, Path(runner.work_dir)
        best = runner.message_hub.get_info('best_checkpoint', None)
        card = {
            'config': Path(runner.cfg.filename or '').name,
            'validated after epoch': str(best['epoch'] if best else runner.epoch),
            'trained for': f'{runner.epoch} epochs, {runner.iter} iterations',
            'trained on': f'{len(runner.train_dataloader.dataset)} images',
            'started from': _origin(runner),
            'parameters': f'{sum(p.numel() for p in runner.model.parameters()) / 1e6:.2f} M',
            'more': 'lighthead report CHECKPOINT --data-root DIR adds multiply-adds and speed',
        }
        evaluated = read_evaluated(
            predictions,
            Path(metric.ann_file),
            Path(dataset.data_prefix['img']),
            dataset.metainfo['classes'],
            work_dir.name,
        )
        write_html(report_page(evaluated, card, read_curves(work_dir)), work_dir / PAGE)
        runner.logger.info(f'report: {work_dir / PAGE}')


def _metric(runner: Runner) -> CocoDetMetric | None:
    """The metric of the validation."""
    if runner.val_loop is None:
        return None
    metrics = getattr(runner.val_loop.evaluator, 'metrics', ())
    return next((metric for metric in metrics if isinstance(metric, CocoDetMetric)), None)


def _origin(runner: Runner) -> str:
    """The weights that the training started from."""
    init = runner.cfg.model.get('backbone', {}).get('init_cfg') or {}
    return str(runner.cfg.get('load_from') or init.get('checkpoint') or 'random weights')
