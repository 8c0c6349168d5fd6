"""What ``lighthead test`` does: evaluate a checkpoint on the test data of a config."""

import json
import os
from argparse import Namespace
from functools import partial
from pathlib import Path

from mmengine.config import Config
from mmengine.dist import is_main_process

from lighthead.checkpoint.checkpoint_files import load_checkpoint_file
from lighthead.checkpoint.evaluation_config import evaluation_config
from lighthead.checkpoint.specification import read_classes, read_specification
from lighthead.config.build import build, naming_mistakes
from lighthead.config.check import CheckedRun, check_evaluation
from lighthead.config.flags import changes_of, set_trained_classes
from lighthead.config.read import Change, RunConfig, parse_cfg_options, read
from lighthead.data.parsed_once import parsed_once
from lighthead.engine.distributed import leaving_together
from lighthead.errors import UserError
from lighthead.files import write_text_file
from lighthead.zoo import locate_model


@parsed_once()
def test(args: Namespace) -> dict[str, float]:
    """Print the COCO table of a checkpoint on the config's test data, or on ``--data-root``.

    The checkpoint's classes are matched to the data's by name.

    Returns:
        The figures, which are also written to ``metrics.json`` in the work dir.
    """
    if args.tta:
        raise UserError(
            '--tta: test-time augmentation would need a merging of boxes that was never tested '
            'with this detector: leave it out.'
        )
    run = prepare(args)
    run.print_data()
    return evaluate(run, args.trust_checkpoint)


def prepare(args: Namespace) -> CheckedRun:
    """The checked config of a test; ``args.checkpoint`` becomes the path of its file."""
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank or 0))
    args.checkpoint = str(locate_model(args.checkpoint))
    meta = load_checkpoint_file(args.checkpoint, trust=args.trust_checkpoint)['meta']
    classes = read_classes(meta, args.checkpoint)
    set_data = partial(set_trained_classes, classes=classes, data_root=args.data_root)
    flags = changes_of(args, but=('data_root',))
    changes: list[Change] = [
        set_data,
        *flags,
        partial(set_outputs, out=args.out, show_dir=args.show_dir),
    ]
    options = parse_cfg_options(args.cfg_options)
    if args.config is None:
        config = _of_checkpoint(args, meta).changed(changes, options)
    else:
        config = read(args.config, changes, options)
    return check_evaluation(config, args.checkpoint, meta, args.work_dir, args.launcher)


def evaluate(run: CheckedRun, trust: bool) -> dict[str, float]:
    """Run the test, and write its figures to ``metrics.json``."""
    with naming_mistakes(run.cfg), leaving_together():
        runner = build(run)
        runner.trust_checkpoint = trust
        metrics = runner.test()
        if metrics and is_main_process():
            write_text_file(json.dumps(metrics, indent=2), run.work_dir / 'metrics.json')
    return metrics


def _of_checkpoint(args: Namespace, meta: dict) -> RunConfig:
    """The config to test a checkpoint with that describes itself.

    Raises:
        UserError: it does not, or no data is given.
    """
    if not args.data_root:
        raise UserError('Without a config, --data-root has to name the data to test on.')
    specification = read_specification(meta, args.checkpoint)
    return RunConfig(evaluation_config(specification), Path(args.checkpoint))


def set_outputs(cfg: Config, out: str | None, show_dir: str | None) -> None:
    """Write only what was asked for."""
    if not isinstance(cfg.test_evaluator, dict):
        raise UserError('test_evaluator of the config has to be one metric, CocoDetMetric.')
    if cfg.test_evaluator.get('type') == 'CocoMetric':  # of a config of mmdet's
        cfg.test_evaluator['type'] = 'CocoDetMetric'
    cfg.test_evaluator['classwise'] = True
    cfg.test_evaluator['out'] = out
    cfg.custom_hooks = []
    for name in ('visualization', 'report'):
        (cfg.get('default_hooks') or {}).pop(name, None)
    if show_dir:
        cfg.custom_hooks.append(dict(type='DrawDetectionsHook', out_dir=show_dir))
