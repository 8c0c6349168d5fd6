"""One of the processes that train the real detector on the demo set; also the only one.

``python detector_process.py WORK_DIR WEIGHTS [--launcher pytorch] [--batch-size N] ...``

It runs ``lighthead.commands.train`` on the demo's pictures at 96 x 96, with the
main config's losses. Two things differ from a training. RPN's 256 anchors are
chosen without chance, so that one process and two choose the same. And every
process notes, next to the work dir, its gradients and losses, the images that
it evaluated, and the checkpoints that it wrote.
"""

import argparse
import json
import os
import signal
import sys
from pathlib import Path

import torch
from mmdet.registry import HOOKS, METRICS, OPTIM_WRAPPERS, TASK_UTILS
from mmengine.dist import all_reduce, get_rank
from mmengine.hooks import Hook
from mmengine.optim import OptimWrapper
from torch import Tensor

from lighthead.cli import build_parser, run
from lighthead.commands.train_job import train
from lighthead.evaluation import CocoDetMetric
from lighthead.models import AllRoIsSampler

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / 'configs/lighthead_shufflev2star_x0_5.py'
DEMO = ROOT / 'data/demo'
SIZE = 96
NOTES: dict[str, Path] = {}
GRADIENTS: list[dict[str, Tensor]] = []


@TASK_UTILS.register_module()
class FirstAnchorsSampler(AllRoIsSampler):
    """The first positives, up to half of ``num``, and the first negatives: always ``num``."""

    def __init__(self, num: int, **kwargs) -> None:
        super().__init__()
        self.num, self.pos_fraction, self.add_gt_as_proposals = num, 0.5, False

    def _sample_pos(self, assign_result: object, num_expected: int, **kwargs) -> Tensor:
        return super()._sample_pos(assign_result, num_expected)[:num_expected]

    def _sample_neg(self, assign_result: object, num_expected: int, **kwargs) -> Tensor:
        return super()._sample_neg(assign_result, num_expected)[:num_expected]


@OPTIM_WRAPPERS.register_module()
class NotingOptimWrapper(OptimWrapper):
    """OptimWrapper that keeps the gradients of each step, as the optimizer gets them."""

    names: dict[int, str] = {}

    def step(self, **kwargs) -> None:
        parameters = [p for group in self.optimizer.param_groups for p in group['params']]
        with_gradient = [p for p in parameters if p.grad is not None]
        GRADIENTS.append({self.names[id(p)]: p.grad.clone() for p in with_gradient})
        super().step(**kwargs)


@HOOKS.register_module()
class NotingHook(Hook):
    """Notes mean losses, rates and checkpoints; kills a process where that is asked for."""

    priority = 'LOWEST'

    def __init__(self, die_after: int = 0, die_rank: int = 1, died: str = '') -> None:
        self.die_after, self.die_rank, self.died = die_after, die_rank, died
        self.losses: list[dict[str, float]] = []
        self.rates: list[float] = []

    def before_train(self, runner) -> None:
        names = {id(p): name for name, p in runner.bare_model.named_parameters()}
        NotingOptimWrapper.names = names

    def before_train_iter(self, runner, batch_idx, data_batch=None) -> None:
        self.rates.append(runner.optim_wrapper.optimizer.param_groups[0]['lr'])

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        values = {k: v.detach().clone() for k, v in outputs.items() if 'loss' in k}
        for value in values.values():
            all_reduce(value, 'mean')
        self.losses.append({name: float(value) for name, value in values.items()})
        if runner.iter + 1 == self.die_after and get_rank() == self.die_rank:
            self._die()

    def _die(self) -> None:
        """End at once; where there is a file ``died``, only if no process did before."""
        if self.died and Path(self.died).exists():
            return
        if self.died:
            Path(self.died).touch()
        os.kill(os.getpid(), signal.SIGKILL)

    def after_train(self, runner) -> None:
        name = f'steps_{get_rank()}.pt'
        notes = dict(gradients=GRADIENTS, losses=self.losses, rates=self.rates)
        torch.save(notes, NOTES['folder'] / name)


@METRICS.register_module()
class NotingMetric(CocoDetMetric):
    """CocoDetMetric that notes which images this process evaluated, and what was gathered."""

    def process(self, data_batch, data_samples) -> None:
        super().process(data_batch, data_samples)
        note('evaluated', [sample['img_id'] for sample in data_samples])

    def compute_metrics(self, results: list) -> dict[str, float]:
        note('gathered', [result['img_id'] for _, result in results])
        figures = super().compute_metrics(results)
        note('figures', [figures])
        return figures


def note(kind: str, values: list) -> None:
    """Append values to this process's file of a kind."""
    with open(NOTES['folder'] / f'{kind}_{get_rank()}.jsonl', 'a') as file:
        file.writelines(json.dumps(value) + '\n' for value in values)


def note_checkpoints() -> None:
    """Note every checkpoint that this process writes."""
    replace = os.replace

    def noting_replace(source, target) -> None:
        replace(source, target)
        if str(target).endswith('.pth'):
            note('written', [Path(target).name])

    os.replace = noting_replace


def main(args: argparse.Namespace) -> None:
    torch.set_num_threads(1)
    work_dir = Path(args.work_dir)
    NOTES['folder'] = work_dir.with_name(f'{work_dir.name}_notes')
    NOTES['folder'].mkdir(parents=True, exist_ok=True)
    note_checkpoints()
    resize = dict(type='Resize', scale=(SIZE, SIZE), keep_ratio=False)
    loader = dict(num_workers=0, persistent_workers=False)
    options: dict = {
        'model.backbone.init_cfg.checkpoint': args.weights,
        'model.train_cfg.rpn.sampler.type': 'FirstAnchorsSampler',
        'model.train_cfg.rpn_proposal.max_per_img': args.proposals,
        'train_dataloader.batch_size': args.batch_size,
        'train_dataloader.batch_sampler.group_by_aspect_ratio': False,
        'train_dataloader.dataset.indices': 8,
        'train_dataloader.dataset.pipeline.2': resize,
        'val_dataloader.dataset.indices': 5,
        'val_dataloader.dataset.pipeline.1': resize,
        'val_evaluator.type': 'NotingMetric',
        'optim_wrapper.type': 'NotingOptimWrapper',
        'custom_hooks': [
            dict(type='OptimizerStepEMAHook'),
            dict(type='NotingHook', die_after=args.die_after, died=args.died),
        ],
        'default_hooks.checkpoint.iter_interval': 1,
        'default_hooks.logger.interval': 1,
        'visualizer.vis_backends': [],
        'train_cfg.max_epochs': 1,
        **{f'{s}_dataloader.{k}': v for s in ('train', 'val', 'test') for k, v in loader.items()},
    }
    words = ['train', str(CONFIG), '--work-dir', args.work_dir, '--data-root', str(DEMO)]
    words += ['--launcher', args.launcher, *(['--resume'] if args.resume else [])]
    train_args = build_parser().parse_args(words)
    train_args.cfg_options = options
    train(train_args)


if __name__ == '__main__':
    parser = argparse.ArgumentParser()
    parser.add_argument('work_dir')
    parser.add_argument('weights')
    parser.add_argument('--launcher', default='none')
    parser.add_argument('--batch-size', type=int, default=2)
    parser.add_argument('--proposals', type=int, default=100)
    parser.add_argument('--die-after', type=int, default=0)
    parser.add_argument('--died', default='', help='a file: die once')
    parser.add_argument('--resume', action='store_true')
    parser.add_argument('--debug', action='store_true')
    sys.exit(run(main, parser.parse_args()))
