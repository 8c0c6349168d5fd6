"""Where a training step spends its time on a CPU: the operators' shares of forward, backward, step.

The recipe of a config on one batch of its data, the same batch again and again. Convolutions
and fully connected layers are apart from everything else, and whatever else takes a part that
can be seen is listed. The time to load a batch, without workers, stands below.

    python benchmarks/training_step.py CONFIG --data-root DIR
"""

import argparse
import sys
import time
from collections import Counter

import torch
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from rich.console import Console
from rich.table import Table
from torch.profiler import ProfilerActivity, profile

from lighthead.commands.config import load_config
from lighthead.commands.train import build_runner
from lighthead.engine.amp import apply_amp
from lighthead.pretrained import from_scratch
from lighthead.speed.timer import intra_op_threads

DENSE = ('convolution', 'mkldnn', 'addmm', 'aten::mm', 'linear')
"""Parts of the names of what computes convolutions and fully connected layers."""
SHOWN = 15


def kind_of(name: str) -> str:
    """The row that an operator's time goes to."""
    return 'convolutions, fully connected' if any(part in name for part in DENSE) else name


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='a detector')
    parser.add_argument('--data-root', required=True, metavar='DIR', help='in COCO layout')
    parser.add_argument('--steps', type=int, default=8)
    parser.add_argument('--threads', type=int, default=2)
    parser.add_argument('--amp', action='store_true', help='mixed precision')
    args = parser.parse_args()
    cfg = load_config(args.config, args.data_root)
    cfg.work_dir, cfg.train_dataloader.num_workers = 'work_dirs/training_step', 0
    cfg.train_dataloader.persistent_workers, cfg.log_level = False, 'ERROR'
    from_scratch(cfg.model)
    if args.amp:
        apply_amp(cfg)
    runner = build_runner(cfg)
    loader = Runner.build_dataloader(cfg.train_dataloader)
    batches = iter(loader)
    start = time.perf_counter()
    loaded = [next(batches) for _ in range(4)]
    loading = (time.perf_counter() - start) / len(loaded)
    with intra_op_threads(args.threads), DefaultScope.overwrite_default_scope('mmdet'):
        model = runner.model.train()
        wrapper = runner.build_optim_wrapper(cfg.optim_wrapper)
        for _ in range(3):
            model.train_step(loaded[0], optim_wrapper=wrapper)
        start = time.perf_counter()
        for _ in range(args.steps):
            model.train_step(loaded[0], optim_wrapper=wrapper)
        seconds = (time.perf_counter() - start) / args.steps
        with profile(activities=[ProfilerActivity.CPU]) as profiler:
            model.train_step(loaded[0], optim_wrapper=wrapper)
    shares: Counter[str] = Counter()
    for event in profiler.key_averages():
        shares[kind_of(event.key)] += event.self_cpu_time_total
    total = sum(shares.values())
    title = f'{seconds * 1e3:.0f} ms a step, {args.threads} threads, torch {torch.__version__}'
    table = Table(title=title)
    table.add_column('operator')
    table.add_column('share of the time', justify='right')
    for name, value in shares.most_common(SHOWN):
        table.add_row(name, f'{value / total:.1%}')
    console = Console(width=None if sys.stdout.isatty() else 100)
    console.print(table)
    console.print(f'loading a batch without workers: {loading * 1e3:.0f} ms')


if __name__ == '__main__':
    main()
