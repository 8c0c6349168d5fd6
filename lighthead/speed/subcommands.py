"""From the command line's arguments to a result with its tables and pictures."""

import argparse

from lighthead.speed import (
    blocks,
    breakdown,
    breakdown_report,
    compare,
    grid_report,
    guidelines,
    guidelines_report,
    resolutions,
    table8,
    table8_report,
)
from lighthead.speed.bench import Bench
from lighthead.speed.record import Result
from lighthead.speed.settings import Settings, check


def settings_of(args: argparse.Namespace) -> Settings:
    """The common settings; UserError where this machine cannot meet them."""
    return check(
        Settings(
            device=args.device,
            threads=args.threads,
            batch=args.batch,
            shape=getattr(args, 'shape', None),
            fuse_bn=args.fuse_bn,
            channels_last=args.channels_last,
            amp=args.amp,
            compile=args.compile,
            min_time=args.min_time,
            quick=args.quick,
            memory=args.memory,
            seed=args.seed,
        )
    )


def _guidelines(bench: Bench, args: argparse.Namespace) -> Result:
    result = guidelines.run(bench)
    guidelines_report.present(result)
    return result


def _table8(bench: Bench, args: argparse.Namespace) -> Result:
    result = table8.run(bench, args.only)
    table8_report.present(result)
    return result


def _resolutions(bench: Bench, args: argparse.Namespace) -> Result:
    result = resolutions.run(bench)
    grid_report.present(result, 'complexity')
    return result


def _blocks(bench: Bench, args: argparse.Namespace) -> Result:
    result = blocks.run(bench)
    grid_report.present(result, 'column')
    return result


def _breakdown(bench: Bench, args: argparse.Namespace) -> Result:
    result = breakdown.run(bench, args.networks)
    breakdown_report.present(result)
    return result


MEASURING = {
    'breakdown': _breakdown,
    'guidelines': _guidelines,
    'table8': _table8,
    'resolutions': _resolutions,
    'blocks': _blocks,
}


def run_subcommand(args: argparse.Namespace) -> Result:
    """Measure, then put the findings into tables and pictures."""
    if args.subcommand == 'compare':
        return compare.run(*args.results)
    bench = Bench(settings_of(args))
    return bench.finish(MEASURING[args.subcommand](bench, args))
