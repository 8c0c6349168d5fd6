"""Evaluation of a checkpoint (what ``lighthead test`` does)."""

import json
from argparse import Namespace
from pathlib import Path

from mmengine.dist import is_main_process

from lighthead.checkpoint.safe_files import load_checkpoint_file
from lighthead.commands.config import load_config, resolve_work_dir
from lighthead.commands.train_job import build_runner, take_preprocessing
from lighthead.data.check import check_data
from lighthead.data.layout import apply_data_root, num_classes_fields
from lighthead.engine.distributed import join_processes, leaving_together
from lighthead.errors import UserError
from lighthead.files import write_text_file


def test(args: Namespace) -> dict[str, float]:
    """Print the COCO table of a checkpoint on the config's test data, or on ``data_root``.

    The checkpoint's classes are matched to the data's by name.

    Returns:
        The figures, which are also written to ``metrics.json`` in the work dir.
    """
    cfg = load_config(args.config)
    meta = load_checkpoint_file(args.checkpoint, trust=args.trust_checkpoint)['meta']
    classes = meta['dataset_meta']['classes']
    if args.data_root:
        apply_data_root(cfg, args.data_root, classes=classes)
    for owner, _ in num_classes_fields(cfg.model):
        owner['num_classes'] = len(classes)
    cfg.test_dataloader.dataset.metainfo = dict(classes=tuple(classes))
    if args.cfg_options:
        cfg.merge_from_dict(args.cfg_options)
    work_dir = Path(resolve_work_dir(cfg, args.config, args.work_dir))
    cfg.launcher = args.launcher
    join_processes(cfg)
    cfg.load_from = args.checkpoint
    cfg.model.backbone.init_cfg = None
    take_preprocessing(cfg, meta)
    _set_outputs(cfg, args)
    report = check_data(cfg, splits=('test',))
    if is_main_process():
        print('\n'.join(report.summary()), flush=True)
    with leaving_together():
        runner = build_runner(cfg)
        runner.trust_checkpoint = args.trust_checkpoint
        metrics = runner.test()
        if metrics and is_main_process():
            write_text_file(json.dumps(metrics, indent=2), work_dir / 'metrics.json')
    return metrics


def _set_outputs(cfg, args: Namespace) -> None:
    """Only what was asked for is written."""
    if not isinstance(cfg.test_evaluator, dict):
        raise UserError('test_evaluator of the config has to be one metric, CocoDetMetric.')
    cfg.test_evaluator.classwise = True
    cfg.test_evaluator.out = args.out
    cfg.custom_hooks = []
    cfg.default_hooks.pop('visualization', None)
    if args.show_dir:
        cfg.custom_hooks.append(dict(type='DrawDetectionsHook', out_dir=args.show_dir))
