"""Step 2, check, for the pretraining and the evaluation of a classifier on class folders."""

from pathlib import Path

from mmengine.config import Config
from mmengine.dist import get_world_size

from lighthead.config.check import CheckedRun, prepare_resume, start
from lighthead.config.image_scale import LOADERS
from lighthead.config.kinds import Backbone, Kinds, Name, Positive, check_kinds
from lighthead.config.read import RunConfig
from lighthead.data.image_folder import list_classes
from lighthead.engine.distributed import join_processes
from lighthead.errors import UserError
from lighthead.weights import adapt_model_cfg

WHAT = 'The config of a pretraining'


class _Folder(Kinds):
    data_root: Name
    split: Name


class _Loader(Kinds):
    dataset: _Folder
    batch_size: Positive


class _Classifier(Kinds):
    backbone: Backbone


class _Pretraining(Kinds):
    """What a config needs beyond :class:`lighthead.config.kinds.Settings`."""

    model: _Classifier
    train_dataloader: _Loader
    val_dataloader: _Loader
    test_dataloader: _Loader
    optim_wrapper: Kinds
    images_per_step: Positive


def check_pretraining(
    config: RunConfig, work_dir: str | None, resume: str | bool, launcher: str
) -> CheckedRun:
    """Check the pretraining of a backbone on a folder of class folders."""
    cfg, folder = start(config, work_dir, launcher)
    check_kinds(cfg, _Pretraining, WHAT)
    prepare_resume(cfg, resume, folder)
    train_set = cfg.train_dataloader.dataset
    use_classes(cfg, list_classes(Path(train_set.data_root) / train_set.split))
    adapt_model_cfg(cfg.model)
    join_processes(cfg)
    set_accumulation(cfg, get_world_size())
    return CheckedRun(cfg, folder)


def check_classification(
    config: RunConfig, checkpoint: str, classes: list[str], work_dir: str | None, launcher: str
) -> CheckedRun:
    """Check the evaluation of a classifier's weights.

    Args:
        classes: That the weights were trained on; empty where they do not say.
    """
    cfg, folder = start(config, work_dir, launcher)
    check_kinds(cfg, _Pretraining, WHAT)
    test_set = cfg.test_dataloader.dataset
    use_classes(cfg, classes or list_classes(Path(test_set.data_root) / test_set.split))
    cfg.model.backbone.update(
        init_cfg=dict(type='Pretrained', checkpoint=checkpoint), norm_eval=False, frozen_stages=-1
    )
    cfg.train_dataloader = cfg.train_cfg = cfg.optim_wrapper = cfg.param_scheduler = None
    cfg.val_dataloader = cfg.val_cfg = cfg.val_evaluator = None
    cfg.custom_hooks = []
    adapt_model_cfg(cfg.model)
    join_processes(cfg)
    return CheckedRun(cfg, folder)


def use_classes(cfg: Config, classes: list[str]) -> None:
    """Set the classes of a classifier and of all its data sets, in place."""
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
