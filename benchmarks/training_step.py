"""Training steps of detectors, timed in turn: seconds, images/s, peak memory, operators' shares.

The recipe of each config on batches of its data that are loaded beforehand: forward with all
losses, backward, optimizer (at a rate that changes nothing to speed up or diverge by); no hooks.
Several configs, and mixed precision beside fp32, take turns, so that all see the same machine.
On a GPU where there is one. Memory is that of two steps in a process of its own.

    python benchmarks/training_step.py CONFIG... --data-root DIR --precisions fp32 amp --operators
"""

import argparse
import itertools
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from mmengine.config import Config, DictAction
from mmengine.device import get_device
from mmengine.optim import OptimWrapper
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from rich.console import Console
from rich.table import Table
from torch import nn
from torch.profiler import ProfilerActivity, profile

from lighthead.config.build import build
from lighthead.config.check import CheckedRun
from lighthead.config.flags import changes_of
from lighthead.config.read import read
from lighthead.speed.harness.conditions import Conditions
from lighthead.speed.harness.memory import peak_memory
from lighthead.speed.harness.timer import Plan, Workload, intra_op_threads, measure
from lighthead.speed.report.page import number
from lighthead.weights import adapt_model_cfg

BATCHES = 4
"""Batches that are loaded and taken in turn."""
RATE = 1e-6
"""Learning rate: the weights stay where they are, and so does the work of a step."""
DENSE = ('convolution', 'mkldnn', 'cudnn', 'addmm', 'aten::mm', 'linear')
"""Parts of the names of what computes convolutions and fully connected layers."""
SHOWN = 15


@dataclass
class TrainingStep:
    """A detector, its optimizer and loaded batches; each call takes one training step.

    Attributes:
        items: Images of a step.
        loading: Seconds that a batch took to load, without workers.
    """

    model: nn.Module
    wrapper: OptimWrapper
    batches: Iterator[dict]
    items: int
    loading: float

    def __call__(self) -> None:
        with DefaultScope.overwrite_default_scope('mmdet'):
            self.model.train_step(next(self.batches), optim_wrapper=self.wrapper)


def set_plain_optimizer(cfg: Config) -> None:
    """Undo the mixed precision of a config that a run with --amp wrote."""
    cfg.optim_wrapper.type = 'OptimWrapper'
    cfg.optim_wrapper.pop('loss_scale', None)


def training_cfg(config: str, precision: str, args: argparse.Namespace) -> Config:
    """The config as it is trained, fp32 or with its mixed precision, loading without workers."""
    flags = argparse.Namespace(data_root=args.data_root, from_scratch=args.from_scratch)
    flags.lr, flags.workers = RATE, 0
    flags.amp = precision == 'amp'
    cfg = read(config, [set_plain_optimizer, *changes_of(flags)], args.cfg_options).cfg
    cfg.work_dir, cfg.log_level = args.work_dir, 'ERROR'
    adapt_model_cfg(cfg.model)
    return cfg


def make_step(config: str, precision: str, args: argparse.Namespace) -> TrainingStep:
    """Build the detector and the optimizer of a config, and load batches of its data."""
    cfg = training_cfg(config, precision, args)
    runner = build(CheckedRun(cfg, Path(cfg.work_dir)))
    with DefaultScope.overwrite_default_scope('mmdet'):
        runner.model.init_weights()
        wrapper = runner.build_optim_wrapper(cfg.optim_wrapper)
        loader = iter(Runner.build_dataloader(cfg.train_dataloader))
        start = time.perf_counter()
        batches = list(itertools.islice(loader, BATCHES))
        loading = (time.perf_counter() - start) / len(batches)
    items = cfg.train_dataloader.batch_size
    return TrainingStep(runner.model.train(), wrapper, itertools.cycle(batches), items, loading)


def two_steps(config: str, precision: str, args: argparse.Namespace) -> Callable[[], object]:
    """The first allocates the optimizer's state, the second needs it beside everything else."""
    step = make_step(config, precision, args)
    return lambda: (step(), step())


def kind_of(name: str) -> str:
    """The row that an operator's time goes to."""
    return 'convolutions, fully connected' if any(part in name for part in DENSE) else name


def operator_shares(step: Callable[[], object], title: str) -> Table:
    """Convolutions and fully connected layers together; whatever else takes a part to be seen."""
    on_gpu = torch.cuda.is_available()
    activities = [ProfilerActivity.CUDA if on_gpu else ProfilerActivity.CPU]
    with profile(activities=activities) as profiler:
        step()
    shares: Counter[str] = Counter()
    for event in profiler.key_averages():
        spent = event.self_device_time_total if on_gpu else event.self_cpu_time_total
        shares[kind_of(event.key)] += spent
    total = sum(shares.values())
    table = Table(title=title)
    table.add_column('operator')
    table.add_column('share of the time', justify='right')
    for name, value in shares.most_common(SHOWN):
        table.add_row(name, f'{value / total:.1%}')
    return table


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('configs', nargs='+', metavar='CONFIG', help='detectors')
    parser.add_argument('--data-root', required=True, metavar='DIR', help='in COCO layout')
    parser.add_argument('--precisions', nargs='+', choices=('fp32', 'amp'), default=['fp32'])
    parser.add_argument('--from-scratch', action='store_true', help='nothing loaded or frozen')
    parser.add_argument('--threads', type=int, default=2, help='threads of torch on a CPU')
    parser.add_argument('--seconds', type=float, default=10.0, help='least time per competitor')
    parser.add_argument('--rounds', type=int, default=5, help='rounds; competitors take turns')
    parser.add_argument('--operators', action='store_true', help="each operator's share too")
    parser.add_argument('--no-memory', action='store_true', help='leave out the peak memory')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE')
    return parser.parse_args()


def measure_all(args: argparse.Namespace) -> Iterator[Table]:
    """One table of all configs and precisions, then, where asked for, one of each's operators."""
    settings = Conditions(device=get_device(), threads=args.threads)
    pairs = list(itertools.product(args.configs, args.precisions))
    memory = dict.fromkeys(pairs)
    if not args.no_memory:
        memory = {p: peak_memory(partial(two_steps, *p, args), settings) for p in pairs}
    steps = {' '.join(pair): make_step(*pair, args) for pair in pairs}
    workloads = [Workload(key, step, step.items) for key, step in steps.items()]
    plan = Plan(min_time=args.seconds, rounds=args.rounds)
    with intra_op_threads(args.threads):
        timings = measure(workloads, plan, settings.torch_device).by_key
        where = torch.cuda.get_device_name() if settings.on_gpu else f'{args.threads} threads'
        table = Table(title=f'training, {where}, torch {torch.__version__}')
        table.add_column('config', no_wrap=True)
        for column in ('precision', 'images', 'ms', 'p10', 'p90', 'images/s', 'MiB', 'loading ms'):
            table.add_column(column, justify='right', no_wrap=True)
        for (config, precision), (key, step) in zip(pairs, steps.items(), strict=True):
            if key not in timings:  # ended by Ctrl-C
                continue
            times = [timings[key].median, timings[key].p10, timings[key].p90]
            table.add_row(
                short_name(Path(config)),
                precision,
                str(step.items),
                *(f'{1e3 * seconds:.0f}' for seconds in times),
                number(timings[key].items_per_second),
                number(memory[config, precision], 0),
                f'{1e3 * step.loading:.0f}',
            )
        yield table
        if args.operators:
            yield from (operator_shares(step, key) for key, step in steps.items())


def short_name(path: Path) -> str:
    """The config's name; that of its folder where it is one that a run has written."""
    return path.parent.name if path.stem == 'config' else path.stem


def main() -> None:
    args = parse_args()
    console = Console(width=None if sys.stdout.isatty() else 130)
    with tempfile.TemporaryDirectory() as args.work_dir:
        for table in measure_all(args):
            console.print(table)


if __name__ == '__main__':
    main()
