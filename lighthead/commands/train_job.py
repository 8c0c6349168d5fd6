"""Training, from a config file to checkpoints (what ``lighthead train`` does)."""

from argparse import Namespace
from pathlib import Path

from mmengine.config import Config
from mmengine.dist import is_main_process
from mmengine.registry import RUNNERS
from mmengine.runner import Runner

from lighthead.checkpoint.plain_config import config_from_json
from lighthead.checkpoint.safe_files import find_latest_checkpoint, load_checkpoint_file
from lighthead.commands.config import load_config, resolve_work_dir
from lighthead.data.check import check_data
from lighthead.engine.amp import apply_amp
from lighthead.engine.distributed import join_processes, leaving_together
from lighthead.errors import UserError
from lighthead.weights import adapt_model_cfg, from_scratch


def train(args: Namespace) -> Path:
    """Train a detector and return its work dir.

    Everything that the user may have got wrong is looked at first: the config,
    the data, the weights, the work dir; only then does the long work start.
    """
    cfg = load_config(args.config, args.data_root, args.cfg_options)
    work_dir = Path(resolve_work_dir(cfg, args.config, args.work_dir))
    resume = set_resume(cfg, args.resume, work_dir)
    protect_earlier_run(work_dir, bool(args.resume))
    cfg.launcher = args.launcher
    join_processes(cfg)
    set_seed(cfg, args.seed)
    if args.auto_scale_lr:
        cfg.auto_scale_lr.enable = True
    if args.amp:
        apply_amp(cfg)
    if args.from_scratch:
        from_scratch(cfg.model)
    report = check_data(cfg)
    if is_main_process():
        print('\n'.join(report.summary()), flush=True)
    if resume:
        take_preprocessing(cfg, load_checkpoint_file(resume)['meta'])
    else:
        adapt_model_cfg(cfg.model)
    with leaving_together():
        build_runner(cfg).train()
    return work_dir


def build_runner(cfg: Config) -> Runner:
    """The runner that ``cfg.runner_type`` names."""
    return RUNNERS.build(cfg)


def set_seed(cfg: Config, seed: int | None) -> None:
    """One seed for the weights, the order of the images and their augmentation."""
    if seed is not None:
        cfg.merge_from_dict({'randomness.seed': seed})


def set_resume(cfg: Config, resume: str | bool, work_dir: Path) -> str | None:
    """Make a config continue from a checkpoint, and return that, for the value of ``--resume``."""
    if not resume:
        return None
    if isinstance(resume, str) and not Path(resume).is_file():
        raise UserError(f'--resume: there is no checkpoint {resume}.')
    latest = resume if isinstance(resume, str) else find_latest_checkpoint(work_dir)
    if latest is None:
        raise UserError(
            f'--resume: {work_dir} holds no checkpoint that can be loaded: start without --resume, '
            'or name a checkpoint.'
        )
    cfg.resume, cfg.load_from = True, str(latest)
    return cfg.load_from


def take_preprocessing(cfg: Config, meta: dict) -> None:
    """Fill in from a checkpoint's ``meta`` what its run took from pretrained weights."""
    model = config_from_json(meta['config_json']).model
    cfg.model.data_preprocessor = model.data_preprocessor
    if 'act_cfg' in model.backbone:
        cfg.model.backbone.act_cfg = model.backbone.act_cfg


def protect_earlier_run(work_dir: Path, resuming: bool) -> None:
    """Stop before a new run would overwrite the checkpoints of another."""
    earlier = sorted(work_dir.glob('*.pth'))
    if earlier and not resuming:
        raise UserError(
            f'{work_dir} already holds a run ({earlier[0].name}): continue it with --resume, '
            'or choose another --work-dir.'
        )
