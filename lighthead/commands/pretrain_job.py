"""What ``lighthead pretrain`` does: ImageNet pretraining and evaluation of a backbone."""

import json
import os
from argparse import Namespace
from functools import partial
from pathlib import Path

from mmengine.dist import is_main_process

from lighthead.config.build import build, naming_mistakes
from lighthead.config.check import CheckedRun
from lighthead.config.check_pretraining import check_classification, check_pretraining
from lighthead.config.flags import changes_of, set_image_folder
from lighthead.config.read import parse_cfg_options, read
from lighthead.engine.distributed import leaving_together
from lighthead.errors import UserError
from lighthead.files import write_text_file
from lighthead.models.classifier import ImageClassifier
from lighthead.weights.classifier_layer import load_last_layer
from lighthead.weights.fetch import locate
from lighthead.weights.files import read_weight_file


def pretrain(args: Namespace) -> Path:
    """Train a classifier, or evaluate one; return the work dir."""
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank or 0))
    changes = changes_of(args, but=('data_root',))
    if args.data_root:
        changes.insert(0, partial(set_image_folder, value=args.data_root))
    config = read(args.config, changes, parse_cfg_options(args.cfg_options))
    if args.eval_only:
        classes = trained_classes(args.eval_only)
        run = check_classification(config, args.eval_only, classes, args.work_dir, args.launcher)
        evaluate(run, args.eval_only)
    else:
        run = check_pretraining(config, args.work_dir, args.resume, args.launcher)
        with naming_mistakes(run.cfg), leaving_together():
            build(run).train()
    return run.work_dir


def evaluate(run: CheckedRun, checkpoint: str) -> None:
    """Print top-1 and top-5 and write them to ``metrics.json``."""
    with naming_mistakes(run.cfg), leaving_together():
        runner = build(run)
        load_classifier(runner.bare_model, checkpoint)
        figures = runner.test()
        if is_main_process():
            write_text_file(json.dumps(figures, indent=2), run.work_dir / 'metrics.json')
            print('  '.join(f'{name} {value:.3f}' for name, value in figures.items()), flush=True)


def load_classifier(model: ImageClassifier, checkpoint: str) -> None:
    """Load all layers from the weights that ``model.backbone.init_cfg`` names too.

    Raises:
        UserError: if any layer is missing or of another shape.
    """
    model.backbone.init_weights()
    loaded = model.backbone.loaded_norms or ()
    missing = [name for name in model.backbone.norms() if name not in loaded]
    if missing:
        raise UserError(f'{checkpoint} lacks {missing[0]}: it cannot be evaluated.')
    load_last_layer(model.fc, checkpoint, required=True)


def trained_classes(checkpoint: str) -> list[str]:
    """Class names that lighthead wrote into a file of weights; empty for others' files."""
    meta = read_weight_file(locate(checkpoint)).meta
    return list((meta.get('dataset_meta') or {}).get('classes') or ())
