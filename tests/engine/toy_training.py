"""A training of seconds on the CPU, for tests: as a module, or as a process to be killed.

``python toy_training.py WORK_DIR [--resume] [--workers N] [--accumulate N] ...``, or
``python toy_training.py --serve`` for many such processes.
"""

import argparse
import itertools
import json
import os
import sys
import time
from pathlib import Path

import torch
from mmdet.registry import DATASETS, METRICS, MODELS, RUNNERS
from mmengine.config import Config
from mmengine.evaluator import BaseMetric
from mmengine.model import BaseModel, BaseModule
from torch import nn
from torch.utils.data import Dataset

import lighthead  # noqa: F401  (registers runner, loop and hooks)
from lighthead.cli import run

SAMPLES = 42
BATCH = 4


@DATASETS.register_module(force=True)
class ToyDataset(Dataset):
    """Vectors whose noise is a function of (seed, epoch, index), as a detector's augmentation."""

    accepts_epoch = True

    def __init__(self, classes: tuple[str, ...] = ('cat', 'dog'), delay: float = 0.0) -> None:
        self.metainfo = {'classes': classes, 'category_ids': tuple(range(1, len(classes) + 1))}
        self.delay, self.seed = delay, 0

    def __len__(self) -> int:
        return SAMPLES

    def __getitem__(self, item: int | tuple[int, int]) -> dict:
        epoch, index = item if isinstance(item, tuple) else (0, item)
        time.sleep(self.delay)
        noise = torch.Generator().manual_seed(10**6 * self.seed + 1000 * epoch + index)
        inputs = torch.randn(8, generator=noise) + index / SAMPLES
        return {'inputs': inputs, 'data_samples': torch.tensor(index % 2)}


@MODELS.register_module(force=True)
class ToyBackbone(BaseModule):
    """Batch norm, dropout (which draws from torch's generator) and a declared source of weights."""

    def __init__(self, init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg)
        self.fc = nn.Linear(8, 16)
        self.norm = nn.BatchNorm1d(16)
        self.dropout = nn.Dropout(0.3)
        self.loaded_norms: frozenset[str] | None = None

    def init_weights(self) -> None:
        if self.init_cfg:
            weights = torch.load(self.init_cfg['checkpoint'], weights_only=True)
            self.load_state_dict(weights)
            self.set_loaded_norms(['norm'])
        else:
            self.set_loaded_norms([])

    def set_loaded_norms(self, names: list[str]) -> None:
        self.loaded_norms = frozenset(names)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.dropout(self.norm(self.fc(x)).relu())


@MODELS.register_module(force=True)
class ToyModel(BaseModel):
    """A classifier; at iteration ``nan_at`` its loss is not a number."""

    def __init__(
        self, backbone: dict, num_classes: int = 2, nan_at: int = -1, data_preprocessor=None
    ) -> None:
        super().__init__(data_preprocessor=data_preprocessor)
        self.backbone = MODELS.build(backbone)
        self.head = nn.Linear(16, num_classes)
        self.nan_at, self.calls = nan_at, 0

    def forward(self, inputs, data_samples=None, mode: str = 'tensor'):
        logits = self.head(self.backbone(torch.stack(inputs)))
        if mode == 'loss':
            self.calls += 1
            loss = nn.functional.cross_entropy(logits, torch.stack(data_samples))
            return {'loss_cls': loss * (float('nan') if self.calls == self.nan_at else 1)}
        return [{'pred': p, 'label': t} for p, t in zip(logits.argmax(1), data_samples)]


@METRICS.register_module(force=True)
class ToyMetric(BaseMetric):
    """Accuracy; draws from torch's generator, as some evaluations do."""

    default_prefix = 'toy'

    def process(self, data_batch, data_samples) -> None:
        torch.rand(1)
        self.results += [float(sample['pred'] == sample['label']) for sample in data_samples]

    def compute_metrics(self, results: list) -> dict:
        return {'accuracy': sum(results) / len(results)}


SCHEDULES = (
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=15),
    dict(type='MultiStepLR', milestones=[1, 2], by_epoch=True),
)
RUNS = itertools.count()
"""Numbers of the runs in this process."""


def make_cfg(
    work_dir: str | Path,
    workers: int = 0,
    epochs: int = 3,
    accumulate: int = 1,
    ema: bool = True,
    resume: bool | str = False,
    nan_at: int = -1,
    delay: float = 0.0,
    checkpoint: dict | None = None,
    init: str | None = None,
    amp: bool = False,
) -> Config:
    init_cfg = dict(type='Pretrained', checkpoint=init) if init else None
    backbone = dict(type='ToyBackbone', init_cfg=init_cfg)
    loader = dict(
        batch_size=BATCH,
        num_workers=workers,
        persistent_workers=workers > 0,
        dataset=dict(type='ToyDataset', delay=delay),
    )
    hook = dict(type='SafeCheckpointHook', interval=1, iter_interval=3, max_keep_ckpts=2)
    hook.update({'save_best': 'toy/accuracy', **(checkpoint or {})})
    return Config(
        dict(
            default_scope='mmdet',
            runner_type='LightHeadRunner',
            # mmengine reuses logger and visualizer of runs whose names and seconds are equal.
            experiment_name=f'toy{next(RUNS)}',
            work_dir=str(work_dir),
            model=dict(type='ToyModel', backbone=backbone, nan_at=nan_at),
            train_dataloader=dict(
                sampler=dict(type='ResumableSampler', shuffle=True),
                batch_sampler=dict(type='ResumableBatchSampler', group_by_aspect_ratio=False),
                **loader,
            ),
            val_dataloader=dict(sampler=dict(type='DefaultSampler', shuffle=False), **loader),
            train_cfg=dict(type='ResumableEpochLoop', max_epochs=epochs, val_interval=1),
            val_cfg=dict(type='ValLoop'),
            val_evaluator=dict(type='ToyMetric'),
            optim_wrapper=dict(
                type='Bf16OptimWrapper' if amp else 'OptimWrapper',
                accumulative_counts=accumulate,
                optimizer=dict(type='SGD', lr=0.05, momentum=0.9, weight_decay=1e-4),
                clip_grad=dict(max_norm=5.0),
            ),
            param_scheduler=[dict(schedule) for schedule in SCHEDULES],
            default_hooks=dict(
                checkpoint=hook,
                logger=dict(type='LoggerHook', interval=5),
                param_scheduler=dict(type='OptimizerStepSchedulerHook'),
            ),
            custom_hooks=[dict(type='StopOnNonFiniteLoss')]
            + ([dict(type='OptimizerStepEMAHook', momentum=0.05)] if ema else []),
            visualizer=dict(type='Visualizer', vis_backends=[]),
            randomness=dict(seed=3),
            log_level='WARNING',
            resume=resume,
        )
    )


def train(**options):
    """Train and return the runner."""
    torch.set_num_threads(1)
    runner = RUNNERS.build(make_cfg(**options))
    runner.train()
    return runner


def slow_down(seconds: float, marker: Path) -> None:
    """Slow down every replacement of a file, and note which one is under way in ``marker``."""
    replace = os.replace

    def slow_replace(source: str, target: str) -> None:
        marker.write_text(str(target))
        time.sleep(seconds)
        replace(source, target)
        marker.write_text('')

    os.replace = slow_replace


def main(args: argparse.Namespace) -> None:
    if args.slow_save:
        slow_down(args.slow_save, Path(args.work_dir) / 'saving')
    train(
        work_dir=args.work_dir,
        workers=args.workers,
        accumulate=args.accumulate,
        resume=args.resume,
        delay=args.delay,
        nan_at=args.nan_at,
    )


def parse_args(words: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument('work_dir')
    parser.add_argument('--resume', action='store_true')
    parser.add_argument('--debug', action='store_true')
    parser.add_argument('--workers', type=int, default=0)
    parser.add_argument('--accumulate', type=int, default=1)
    parser.add_argument('--delay', type=float, default=0.0)
    parser.add_argument('--slow-save', type=float, default=0.0)
    parser.add_argument('--nan-at', type=int, default=-1)
    return parser.parse_args(words)


def serve() -> None:
    """Start one training process per line of input; imports are paid for once.

    Each line is a JSON list of arguments. Answers: the process's id, then its
    exit code (negative: the signal that killed it). Its output goes to the
    file named in the environment variable TOY_LOG.
    """
    for line in sys.stdin:
        words = json.loads(line)
        pid = os.fork()
        if pid == 0:
            log = os.open(os.environ['TOY_LOG'], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(log, 1)
            os.dup2(log, 2)
            code = run(main, parse_args(words))
            sys.stderr.flush()
            os._exit(code)
        print(pid, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


if __name__ == '__main__':
    if sys.argv[1:] == ['--serve']:
        serve()
    else:
        sys.exit(run(main, parse_args()))
