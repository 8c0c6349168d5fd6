"""Evaluation of a checkpoint (what ``tools/test.py`` calls)."""

import json
from dataclasses import dataclass
from pathlib import Path

from mmengine.dist import is_main_process

from lighthead.checkpoint.safe_files import load_checkpoint_file
from lighthead.commands.config import load_config, resolve_work_dir
from lighthead.commands.train import build_runner, take_preprocessing
from lighthead.data.check import check_data
from lighthead.data.layout import apply_data_root, num_classes_fields
from lighthead.engine.distributed import join_processes, leaving_together
from lighthead.errors import UserError
from lighthead.files import write_text_file


@dataclass
class TestOptions:
    """The command line of ``tools/test.py``; see its ``--help``."""

    config: str
    checkpoint: str
    work_dir: str | None = None
    out: str | None = None
    show_dir: str | None = None
    data_root: str | None = None
    launcher: str = 'none'
    trust_checkpoint: bool = False
    cfg_options: dict | None = None


def test(options: TestOptions) -> dict[str, float]:
    """Print the COCO table of a checkpoint on the config's test data, or on ``data_root``.

    The checkpoint's classes are matched to the data's by name.

    Returns:
        The figures, which are also written to ``metrics.json`` in the work dir.
    """
    cfg = load_config(options.config)
    meta = load_checkpoint_file(options.checkpoint, trust=options.trust_checkpoint)['meta']
    classes = meta['dataset_meta']['classes']
    if options.data_root:
        apply_data_root(cfg, options.data_root, classes=classes)
    for owner, _ in num_classes_fields(cfg.model):
        owner['num_classes'] = len(classes)
    cfg.test_dataloader.dataset.metainfo = dict(classes=tuple(classes))
    if options.cfg_options:
        cfg.merge_from_dict(options.cfg_options)
    work_dir = Path(resolve_work_dir(cfg, options.config, options.work_dir))
    cfg.launcher = options.launcher
    join_processes(cfg)
    cfg.load_from = options.checkpoint
    cfg.model.backbone.init_cfg = None
    take_preprocessing(cfg, meta)
    _set_outputs(cfg, options)
    report = check_data(cfg, splits=('test',))
    if is_main_process():
        print('\n'.join(report.summary()), flush=True)
    with leaving_together():
        runner = build_runner(cfg)
        runner.trust_checkpoint = options.trust_checkpoint
        metrics = runner.test()
        if metrics and is_main_process():
            write_text_file(json.dumps(metrics, indent=2), work_dir / 'metrics.json')
    return metrics


def _set_outputs(cfg, options: TestOptions) -> None:
    """Only what was asked for is written."""
    if not isinstance(cfg.test_evaluator, dict):
        raise UserError('test_evaluator of the config has to be one metric, CocoDetMetric.')
    cfg.test_evaluator.classwise = True
    cfg.test_evaluator.out = options.out
    cfg.custom_hooks = []
    cfg.default_hooks.pop('visualization', None)
    if options.show_dir:
        cfg.custom_hooks.append(dict(type='DrawDetectionsHook', out_dir=options.show_dir))
