"""What benchmarks of competitors share: arguments, alternating rounds, the table."""

import argparse
import sys
from collections.abc import Sequence

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from lighthead.speed.harness.quiet import quiet_libraries
from lighthead.speed.harness.statistics import median_interval
from lighthead.speed.harness.timer import Plan, Timing, Workload, intra_op_threads, measure


def make_parser(description: str) -> argparse.ArgumentParser:
    """A parser with the arguments of every operator's benchmark."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--device', default='cpu', help='cpu, cuda, cuda:1, ... (default: cpu)')
    parser.add_argument('--threads', type=int, default=2, help='threads of torch on a CPU')
    parser.add_argument('--rounds', type=int, default=10, help='rounds; competitors take turns')
    parser.add_argument('--seconds', type=float, default=1.0, help='least time per competitor')
    parser.add_argument('--seed', type=int, default=0, help='of the random inputs')
    return parser


def run_groups(
    groups: Sequence[tuple[str, Sequence[Workload]]], args: argparse.Namespace, title: str
) -> None:
    """Measure every group of competitors and print one table.

    The first workload of a group is the one that the ratios compare with. A ratio is the median
    over the rounds, with the bootstrap's 95 % interval.
    """
    device = torch.device(args.device)
    where = f'{device}, {args.threads} threads' if device.type == 'cpu' else str(device)
    table = Table(title=f'{title} ({where}, torch {torch.__version__})')
    for name in ('competitor', 'median ms', 'p10', 'p90', 'times as fast', '95 % interval'):
        table.add_column(name, justify='left' if name == 'competitor' else 'right', no_wrap=True)
    plan = Plan(min_time=args.seconds, rounds=args.rounds)
    with quiet_libraries(), intra_op_threads(args.threads):
        for case, workloads in groups:
            timings = measure(workloads, plan, device)
            _add_rows(table, case, list(timings.by_key.values()))
            if timings.interrupted:
                break
    Console(width=None if sys.stdout.isatty() else 110).print(table)


def _add_rows(table: Table, case: str, timings: Sequence[Timing]) -> None:
    table.add_row(f'[bold]{case}')
    for timing in timings:
        numbers = [f'{1e3 * value:.2f}' for value in (timing.median, timing.p10, timing.p90)]
        ratios = np.divide(timings[0].round_medians, timing.round_medians)
        shown = [f'{np.median(ratios):.3f}x', '-']
        if timing is not timings[0] and len(ratios) > 1:
            shown[1] = '{:.3f} to {:.3f}'.format(*median_interval(ratios))
        table.add_row(f'  {timing.key}', *numbers, *shown)
    table.add_section()
