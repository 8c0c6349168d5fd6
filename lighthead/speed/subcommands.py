"""From the command line's arguments to a result with its tables and pictures."""

import argparse

from lighthead.speed import guidelines, guidelines_report
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


def run_subcommand(args: argparse.Namespace) -> Result:
    """Measure, then put the findings into tables and pictures."""
    bench = Bench(settings_of(args))
    result = guidelines.run(bench)
    guidelines_report.present(result)
    return bench.finish(result)
