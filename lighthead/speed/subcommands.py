"""From the command line's arguments to a result with its tables and pictures."""

import argparse

from lighthead.errors import UserError
from lighthead.speed import (
    blocks,
    breakdown,
    breakdown_report,
    compare,
    detector,
    detector_report,
    grid_report,
    guidelines,
    guidelines_report,
    resolutions,
    table8,
    table8_report,
)
from lighthead.speed.bench import Bench
from lighthead.speed.detector_runner import PROPOSALS, Candidate
from lighthead.speed.detectors import MMDET, TORCHVISION
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


def _detector(bench: Bench, args: argparse.Namespace) -> Result:
    result = detector.run(bench, _detector_options(args))
    detector_report.present(result)
    return result


def _detector_options(args: argparse.Namespace) -> detector.Options:
    checkpoints: list[str | None] = list(args.checkpoint or [None] * len(args.configs))
    if len(checkpoints) != len(args.configs):
        raise UserError(
            f'--checkpoint gives {len(checkpoints)} file(s) for {len(args.configs)} config(s): '
            'give one for each, in the same order.'
        )
    for name in args.against:
        if not name.startswith((TORCHVISION, MMDET)):
            raise UserError(
                f'--against {name}: write torchvision:<function> or mmdet:<config>, such as '
                'torchvision:fasterrcnn_mobilenet_v3_large_fpn.'
            )
    candidates = [Candidate(*pair) for pair in zip(args.configs, checkpoints, strict=True)]
    candidates += [Candidate(name) for name in args.against]
    proposals = tuple(PROPOSALS) if args.proposals == 'both' else (args.proposals,)
    return detector.Options(tuple(dict.fromkeys(candidates)), proposals, args.image)


MEASURING = {
    'detector': _detector,
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
