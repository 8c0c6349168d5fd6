"""Step 2, check: report what the user may have got wrong, before any long work.

In this order, the quick before the slow:

1. the values in the config by their kind, and its names: every ``type`` and its arguments;
2. the work dir: a new run does not overwrite another, ``--resume`` has a file;
3. the use: whether a checkpoint can describe the detector, and the format of the data sets;
4. the other processes are joined (``--launcher``), so that one of them reports;
5. the data: annotation files, image folders, classes;
6. the weights: what they need of the preprocessing and the activation is filled
   in, or the config contradicts them.

Each ``check_...`` returns a value of its own and leaves the read config as it is.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mmdet.datasets import CocoDataset
from mmdet.registry import DATASETS
from mmengine.config import Config
from mmengine.dist import is_main_process

from lighthead.checkpoint.checkpoint_files import find_latest_checkpoint, load_checkpoint_file
from lighthead.checkpoint.describe import notes_on_use
from lighthead.config.keys import check_types
from lighthead.config.kinds import check_kinds
from lighthead.config.read import RunConfig
from lighthead.data.check import DataReport, check_data
from lighthead.data.layout import dataset_cfgs
from lighthead.engine.distributed import join_processes, restarts_processes
from lighthead.errors import UserError
from lighthead.weights import adapt_model_cfg, start_from_detector
from lighthead.weights.facts import ImageFacts
from lighthead.weights.preprocessing import PREPROCESSOR
from lighthead.weights.sources import META_KEY as FACTS_KEY
from lighthead.zoo.locate import locate_model


@dataclass(frozen=True)
class CheckedRun:
    """A config that is ready to be built."""

    cfg: Config
    work_dir: Path
    data: DataReport = field(default_factory=lambda: DataReport([]))
    """What the annotation files hold."""
    notes: tuple[str, ...] = ()
    """On how the checkpoints can be used."""

    def print_data(self) -> None:
        """Print what the data is, once among several processes."""
        if is_main_process():
            print('\n'.join([*self.notes, *self.data.summary()]), flush=True)


def check_training(
    config: RunConfig, work_dir: str | None, resume: str | bool, launcher: str
) -> CheckedRun:
    """Check the training of a detector.

    Args:
        resume: The value of ``--resume``: False, True, or a checkpoint.

    Raises:
        UserError: the first mistake.
    """
    cfg, folder = start(config, work_dir, launcher)
    checkpoint = prepare_resume(cfg, resume, folder)
    if cfg.get('load_from'):
        cfg.load_from = str(locate_model(cfg.load_from))
        if not Path(cfg.load_from).is_file():
            raise UserError(f'load_from: there is no checkpoint {cfg.load_from}.')
    notes = [f'--auto: {line}' for line in cfg.get('auto_choices', ())]
    notes += [*notes_on_use(cfg), *check_datasets(cfg, ('train', 'val'))]
    join_processes(cfg)
    data = check_data(cfg)
    if checkpoint is None:
        if cfg.get('load_from'):
            start_from_detector(cfg.model, cfg.load_from)
        adapt_model_cfg(cfg.model)
    else:
        take_preprocessing(cfg, load_checkpoint_file(checkpoint)['meta'])
    return CheckedRun(cfg, folder, data, tuple(notes))


def check_evaluation(
    config: RunConfig, checkpoint: str, meta: dict, work_dir: str | None, launcher: str
) -> CheckedRun:
    """Check the evaluation of a detector's checkpoint on the test data of the config.

    Args:
        meta: Of the checkpoint; its classes are matched to the data's by name.
    """
    cfg, folder = start(config, work_dir, launcher)
    join_processes(cfg)
    cfg.load_from = checkpoint
    if cfg.model.get('backbone'):
        cfg.model.backbone.init_cfg = None
    check_datasets(cfg, ('test',))
    take_preprocessing(cfg, meta)
    return CheckedRun(cfg, folder, check_data(cfg, splits=('test',)))


def start(config: RunConfig, work_dir: str | None, launcher: str) -> tuple[Config, Path]:
    """A copy of the config with its work dir: flag, else the config's, else by its name."""
    cfg = copy.deepcopy(config.cfg)
    check_kinds(cfg)
    if cfg.get('default_scope', 'mmdet') in ('mmdet', 'mmengine'):
        check_types(cfg)
    cfg.work_dir = work_dir or cfg.get('work_dir') or f'work_dirs/{config.path.stem}'
    cfg.launcher = launcher
    folder = Path(cfg.work_dir)
    if folder.is_file():
        raise UserError(f'The work dir {folder} is a file: choose another --work-dir.')
    return cfg, folder


def prepare_resume(cfg: Config, resume: str | bool, work_dir: Path) -> str | None:
    """Make a config continue from a checkpoint and return it; None starts a new run.

    Under torchrun with ``--max-restarts`` one command begins a run and continues it: there, and
    nowhere else, ``--resume`` in an empty work dir begins one.

    Raises:
        UserError: there is no checkpoint to resume, or a new run would
            overwrite those of an earlier one.
    """
    if not resume:
        earlier = sorted(work_dir.glob('*.pth'))
        if earlier:
            raise UserError(
                f'{work_dir} already holds a run ({earlier[0].name}): continue it with --resume, '
                'or choose another --work-dir.'
            )
        return None
    if isinstance(resume, str) and not Path(resume).is_file():
        raise UserError(f'--resume: there is no checkpoint {resume}.')
    latest = resume if isinstance(resume, str) else find_latest_checkpoint(work_dir)
    if latest is None and restarts_processes() and not any(work_dir.glob('*.pth')):
        return None
    if latest is None:
        raise UserError(
            f'--resume: {work_dir} holds no checkpoint that can be loaded: start without --resume, '
            'or name a checkpoint.'
        )
    cfg.resume, cfg.load_from = True, str(latest)
    return cfg.load_from


def take_preprocessing(cfg: Config, meta: dict) -> None:
    """Fill in from a checkpoint's ``meta`` what its run took from pretrained weights."""
    if FACTS_KEY not in meta:
        return  # a detector of another project: its config says all
    facts = ImageFacts.parse(meta[FACTS_KEY], "The checkpoint's description of its images")
    settings = dict(cfg.model.get('data_preprocessor') or dict(type=PREPROCESSOR))
    settings.pop('rgb_to_bgr', None)
    taken = dict(mean=list(facts.mean), std=list(facts.std), bgr_to_rgb=facts.color_order == 'rgb')
    cfg.model.data_preprocessor = settings | taken
    if facts.act_cfg is not None and cfg.model.get('backbone'):
        cfg.model.backbone.act_cfg = facts.act_cfg.to_cfg()


def check_datasets(cfg: Config, splits: Sequence[str]) -> list[str]:
    """Refuse data sets that do not read COCO's format; notes on wrappers around those that do.

    Raises:
        UserError: a data set has another format.
    """
    notes = []
    for split in splits:
        loader = cfg.get(f'{split}_dataloader')
        for dataset in dataset_cfgs(loader):
            kind = DATASETS.get(dataset['type'])
            if not (isinstance(kind, type) and issubclass(kind, CocoDataset)):
                raise UserError(
                    f'{split}_dataloader: {dataset["type"]} does not read COCO annotations: give '
                    '--data-root, which reads other formats too, or convert with `lighthead data '
                    'convert`.'
                )
        if (
            split == 'train'
            and loader
            and not getattr(DATASETS.get(loader.dataset.type), 'accepts_epoch', False)
        ):
            notes.append(
                f'train data: {loader.dataset.type} draws its augmentation without regard to the '
                'epoch: a resumed training sees other crops and flips than an uninterrupted one.'
            )
    return notes
