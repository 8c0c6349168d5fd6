"""ImageNet pretraining and evaluation of a backbone (what ``lighthead pretrain`` does)."""

import json
from argparse import Namespace
from pathlib import Path

from mmengine.config import Config
from mmengine.dist import get_world_size, is_main_process

from lighthead.commands.config import load_config, resolve_work_dir
from lighthead.commands.train_job import build_runner, protect_earlier_run, set_resume, set_seed
from lighthead.data.image_folder import list_classes
from lighthead.engine.amp import apply_amp
from lighthead.engine.distributed import join_processes, leaving_together
from lighthead.errors import UserError
from lighthead.files import write_text_file
from lighthead.models.classifier import ImageClassifier
from lighthead.weights import adapt_model_cfg
from lighthead.weights.classifier_layer import load_last_layer
from lighthead.weights.fetch import locate
from lighthead.weights.files import read_weight_file

LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')


def pretrain(args: Namespace) -> Path:
    """Train a classifier, or evaluate one; return the work dir."""
    roots = {f'{name}.dataset.data_root': args.data_root for name in LOADERS}
    changes = (roots if args.data_root else {}) | (args.cfg_options or {})
    cfg = load_config(args.config, cfg_options=changes)
    work_dir = Path(resolve_work_dir(cfg, args.config, args.work_dir))
    cfg.launcher = args.launcher
    if args.eval_only:
        _evaluate(cfg, args.eval_only, work_dir)
    else:
        _train(cfg, args, work_dir)
    return work_dir


def _train(cfg: Config, args: Namespace, work_dir: Path) -> None:
    set_resume(cfg, args.resume, work_dir)
    protect_earlier_run(work_dir, bool(args.resume))
    set_seed(cfg, args.seed)
    train_set = cfg.train_dataloader.dataset
    use_classes(cfg, list_classes(Path(train_set.data_root) / train_set.split))
    if args.ema is not None:
        cfg.custom_hooks.append(dict(type='OptimizerStepEMAHook', momentum=args.ema))
    if args.amp:
        apply_amp(cfg)
    adapt_model_cfg(cfg.model)
    join_processes(cfg)
    set_accumulation(cfg, get_world_size())
    with leaving_together():
        build_runner(cfg).train()


def _evaluate(cfg: Config, checkpoint: str, work_dir: Path) -> None:
    classes = trained_classes(checkpoint)
    if not classes:
        test_set = cfg.test_dataloader.dataset
        classes = list_classes(Path(test_set.data_root) / test_set.split)
    use_classes(cfg, classes)
    cfg.model.backbone.update(
        init_cfg=dict(type='Pretrained', checkpoint=checkpoint), norm_eval=False, frozen_stages=-1
    )
    cfg.train_dataloader = cfg.train_cfg = cfg.optim_wrapper = cfg.param_scheduler = None
    cfg.val_dataloader = cfg.val_cfg = cfg.val_evaluator = None
    cfg.custom_hooks = []
    adapt_model_cfg(cfg.model)
    join_processes(cfg)
    with leaving_together():
        runner = build_runner(cfg)
        load_classifier(runner.bare_model, checkpoint)
        figures = runner.test()
        if is_main_process():
            write_text_file(json.dumps(figures, indent=2), work_dir / 'metrics.json')
            print('  '.join(f'{name} {value:.3f}' for name, value in figures.items()), flush=True)


def load_classifier(model: ImageClassifier, checkpoint: str) -> None:
    """Load all layers from the weights that ``model.backbone.init_cfg`` names too.

    Raises:
        UserError: if any layer is missing or of another shape.
    """
    model.backbone.init_weights()
    missing = [n for n in model.backbone.norms() if n not in model.backbone.loaded_norms]
    if missing:
        raise UserError(f'{checkpoint} lacks {missing[0]}: it cannot be evaluated.')
    load_last_layer(model.fc, checkpoint, required=True)


def trained_classes(checkpoint: str) -> list[str]:
    """Class names that a checkpoint of ours was trained on; empty for foreign files."""
    meta = read_weight_file(locate(checkpoint)).meta
    return list((meta.get('dataset_meta') or {}).get('classes') or ())


def use_classes(cfg: Config, classes: list[str]) -> None:
    """Set the classes of the model and of all data sets, in place."""
    cfg.model.num_classes = len(classes)
    for name in LOADERS:
        cfg[name].dataset.classes = tuple(classes)


def set_accumulation(cfg: Config, processes: int) -> None:
    """Accumulate gradients so that a step takes ``cfg.images_per_step`` images, in place.

    Raises:
        UserError: if they are no multiple of what all processes take at once.
    """
    at_once = processes * cfg.train_dataloader.batch_size
    counts, rest = divmod(cfg.images_per_step, at_once)
    if rest or not counts:
        raise UserError(
            f'images_per_step={cfg.images_per_step} is no multiple of the {at_once} images that '
            f'{processes} processes of train_dataloader.batch_size='
            f'{cfg.train_dataloader.batch_size} take at once: change one of them.'
        )
    cfg.optim_wrapper.accumulative_counts = counts
