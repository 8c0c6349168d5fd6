"""Training steps of detectors, timed in turn: seconds, images/s, peak memory, operators' shares.

The recipe of each config on batches of its data that are loaded beforehand: forward with all
losses, backward, optimizer (at a rate that changes nothing to speed up or diverge by); no hooks.
Several configs, and precisions (fp32 is exact, tf32 is fast float32 on a GPU, amp is mixed
precision), take turns, so that all see the same machine. On a GPU where there is one. Memory is
that of two steps in a process of its own.

    python benchmarks/training_step.py CONFIG... --data-root DIR --precisions fp32 amp --operators
"""

import argparse
import itertools
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import torch
from mmengine.config import DictAction
from mmengine.device import get_device
from rich.console import Console
from rich.table import Table

from lighthead.gpu_report.training import (
    STILL_RATE,
    TrainingStep,
    build_step,
    operator_shares,
    training_config,
)
from lighthead.report.page import number
from lighthead.speed.harness.conditions import Conditions
from lighthead.speed.harness.memory import peak_memory
from lighthead.speed.harness.quiet import quiet_libraries
from lighthead.speed.harness.timer import Plan, Workload, intra_op_threads, measure

SHOWN = 15
"""Operators in a table of shares."""


def make_step(config: str, precision: str, args: argparse.Namespace) -> TrainingStep:
    """A config's training step, in fp32, tf32 or amp; its batches are loaded without workers."""
    cfg = training_config(
        config,
        args.cfg_options,
        data_root=args.data_root,
        from_scratch=args.from_scratch,
        amp=precision == 'amp',
        lr=STILL_RATE,
        workers=0,
    )
    return build_step(cfg, torch.device(get_device()), endless=False)


def in_precision(step: TrainingStep, precision: str) -> Callable[[], object]:
    """The step, with TF32 for ``tf32`` alone."""

    def call() -> None:
        with Conditions(precision='tf32' if precision == 'tf32' else 'fp32').applied():
            step()

    return call


def two_steps(config: str, precision: str, args: argparse.Namespace) -> Callable[[], object]:
    """The first allocates the optimizer's state, the second needs it next to everything else."""
    step = in_precision(make_step(config, precision, args), precision)
    return lambda: (step(), step())


def table_of_shares(shares: dict[str, float], title: str) -> Table:
    """Convolutions and fully connected layers together; whatever else takes a part to be seen."""
    table = Table(title=title)
    table.add_column('operator')
    table.add_column('share of the time', justify='right')
    for name, share in itertools.islice(shares.items(), SHOWN):
        table.add_row(name, f'{share:.1%}')
    return table


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('configs', nargs='+', metavar='CONFIG', help='detectors')
    parser.add_argument('--data-root', required=True, metavar='DIR', help='in COCO layout')
    parser.add_argument(
        '--precisions', nargs='+', choices=('fp32', 'tf32', 'amp'), default=['fp32']
    )
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
    conditions = Conditions(device=get_device(), threads=args.threads)
    device = conditions.torch_device
    pairs = list(itertools.product(args.configs, args.precisions))
    memory = dict.fromkeys(pairs)
    if not args.no_memory:
        memory = {p: peak_memory(partial(two_steps, *p, args), conditions) for p in pairs}
    steps = {pair: make_step(*pair, args) for pair in pairs}
    workloads = [
        Workload(' '.join(pair), in_precision(step, pair[1]), step.items)
        for pair, step in steps.items()
    ]
    plan = Plan(min_time=args.seconds, rounds=args.rounds)
    with intra_op_threads(args.threads):
        timings = measure(workloads, plan, device).by_key
        where = f'{args.threads} threads'
        if conditions.on_gpu:
            where = torch.cuda.get_device_name(device)
        table = Table(title=f'training, {where}, torch {torch.__version__}')
        table.add_column('config', no_wrap=True)
        for column in ('precision', 'images', 'ms', 'p10', 'p90', 'images/s', 'MiB', 'loading ms'):
            table.add_column(column, justify='right', no_wrap=True)
        for (config, precision), step in steps.items():
            timing = timings.get(f'{config} {precision}')
            if timing is None:  # ended by Ctrl-C
                continue
            times = [timing.median, timing.p10, timing.p90]
            table.add_row(
                short_name(Path(config)),
                precision,
                str(step.items),
                *(f'{1e3 * seconds:.0f}' for seconds in times),
                number(timing.items_per_second),
                number(memory[config, precision], 0),
                f'{1e3 * step.loading:.0f}',
            )
        yield table
        if args.operators:
            for work in workloads:
                yield table_of_shares(operator_shares(work.call, device), work.key)


def short_name(path: Path) -> str:
    """The config's name; that of its folder where it is one that a run has written."""
    return path.parent.name if path.stem == 'config' else path.stem


def main() -> None:
    console = Console(width=None if sys.stdout.isatty() else 130)
    with quiet_libraries():
        for table in measure_all(parse_args()):
            console.print(table)


if __name__ == '__main__':
    main()
