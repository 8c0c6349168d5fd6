"""Measure speed: the experiments of the ShuffleNet V2 paper on this machine."""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

from lighthead.commands.arguments import add_debug
from lighthead.commands.parser import Parser
from lighthead.commands.values import positive_number, whole_number
from lighthead.errors import EXIT_INTERNAL

EXAMPLES = """
  lighthead speed detector lighthead_shufflev2star --shape 800x1200
  lighthead speed guidelines --quick --out outputs/speed
  lighthead speed table8 --only shufflenet_v2_1x --network package.module:callable --input 224
  lighthead speed gpu --out outputs/gpu
"""
SUBCOMMANDS = {
    'detector': 'images/s and time per part of one or several detectors (Table 7)',
    'table8': 'every network of Table 8, and your own: MACs and speed next to the paper',
    'resolutions': 'four networks at four complexities and three sizes (appendix)',
    'blocks': 'single building blocks at equal FLOPs (appendix)',
    'guidelines': 'guidelines G1 to G4: does each hold here? (Tables 1-4)',
    'breakdown': "where a network's time goes, by kind of operation (Figure 2)",
    'gpu': 'all that a GPU should be measured for, on one page (25 minutes)',
    'compare': 'two results.json next to each other: two machines or two versions',
    'report': 'draw the report of a results.json again, without measuring',
}
EXIT_INTERRUPTED = 130
READING = ('compare', 'report')
"""Subcommands that read results instead of measuring."""
WITH_SHAPE = ('detector', 'table8', 'breakdown')
WIDTH = 160
"""Of tables that go to a file or a pipe."""


LARGEST_SIDE = 16384
"""Pixels of an image's sides."""


def height_width(text: str) -> tuple[int, int]:
    """``224``, or ``HxW`` such as ``480x640``."""
    parts = text.lower().split('x')
    if len(parts) not in (1, 2) or not all(part.isdecimal() for part in parts):
        raise argparse.ArgumentTypeError(f'{text!r} is not a size: write 224 or 480x640 (HxW)')
    height, width = int(parts[0]), int(parts[-1])
    if min(height, width) < 32:
        raise argparse.ArgumentTypeError(f'{text!r} is too small: sides of 32 pixels at the least')
    if max(height, width) > LARGEST_SIDE:
        raise argparse.ArgumentTypeError(f'{text!r:.100} is too large: sides up to {LARGEST_SIDE}')
    return height, width


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the experiments, each with its arguments."""
    subparsers = parser.add_subparsers(
        dest='subcommand', metavar='SUBCOMMAND', required=True, parser_class=Parser
    )
    for name, text in SUBCOMMANDS.items():
        sub = subparsers.add_parser(name, help=text, description=text)
        add_debug(sub, nested=True)
        sub.add_argument(
            '--out',
            type=Path,
            metavar='DIR',
            help='write results.json, report.html, report.md and its charts',
        )
        if name not in READING:
            _add_conditions(sub)
        if name in WITH_SHAPE:
            sub.add_argument(
                '--shape', '--input', type=height_width, metavar='HxW', help='size of the input'
            )
    _add_detector(subparsers.choices['detector'])
    _add_networks(subparsers.choices)
    subparsers.choices['gpu'].set_defaults(device='cuda')
    subparsers.choices['gpu'].add_argument(
        '--data-root', metavar='DIR', help='train on this data set in COCO layout, not on the demo'
    )
    for name, count in (('compare', 2), ('report', 1)):
        subparsers.choices[name].add_argument(
            'results', nargs=count, type=Path, metavar='RESULTS.json'
        )


def _add_conditions(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--device', default='cpu', help='cpu, cuda, cuda:1 (default: %(default)s)')
    parser.add_argument('--threads', type=whole_number(), metavar='N', help='CPU threads')
    parser.add_argument('--batch', type=whole_number(), metavar='N', help='images per call')
    parser.add_argument('--fuse-bn', action='store_true', help='fold batch norm into convolutions')
    parser.add_argument('--channels-last', action='store_true', help='NHWC memory format')
    parser.add_argument(
        '--precision',
        choices=('fp32', 'tf32', 'fp16', 'bf16'),
        help='fp32 (default): exact, TF32 off; tf32: fast float32 on a GPU; fp16, bf16: autocast',
    )
    parser.add_argument('--amp', action='store_true', help='--precision fp16 on GPU, bf16 on CPU')
    parser.add_argument('--compile', action='store_true', help='torch.compile')
    parser.add_argument(
        '--min-time',
        type=positive_number,
        default=2.0,
        metavar='S',
        help='seconds per measurement (2)',
    )
    parser.add_argument('--quick', action='store_true', help='a rough answer in about a minute')
    parser.add_argument(
        '--memory', action=argparse.BooleanOptionalAction, default=True, help='peak memory too'
    )
    parser.add_argument('--seed', type=int, default=0, help='of weights and images')


def _add_networks(parsers: Mapping[str, argparse.ArgumentParser]) -> None:
    parsers['breakdown'].add_argument(
        'networks',
        nargs='*',
        metavar='NETWORK',
        help='keys of table8, or package.module:callable '
        '(default: those of Figure 2 and ShuffleNet v2 1x)',
    )
    parsers['table8'].add_argument(
        '--only',
        nargs='*',
        action='extend',
        metavar='NETWORK',
        help="keys of the paper's networks to time; without a key: none",
    )
    parsers['table8'].add_argument(
        '--network',
        nargs='+',
        action='extend',
        default=[],
        metavar='NAME',
        help='your own, in the same table: package.module:callable, which returns a torch module',
    )


def _add_detector(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('configs', nargs='+', metavar='CONFIG', help='detectors to time')
    parser.add_argument(
        '--checkpoint', nargs='+', action='extend', metavar='FILE', help='one per config, in order'
    )
    parser.add_argument('--image', metavar='FILE', help='time on this image, not on noise')
    parser.add_argument(
        '--against',
        nargs='+',
        action='extend',
        default=[],
        metavar='NAME',
        help='competitors: torchvision:<function> or mmdet:<config of its wheel>',
    )
    parser.add_argument(
        '--proposals',
        choices=('torchvision', 'paper', 'both'),
        default='both',
        help='before NMS / after NMS / score threshold: 1000/1000/0.05, 6000/1000/0, or both',
    )


def settle_precision(args: argparse.Namespace) -> None:
    """Put one name for ``--precision`` and ``--amp`` into ``args``."""
    if args.precision is None:
        half = 'fp16' if args.device.startswith('cuda') else 'bf16'
        args.precision = half if args.amp else 'fp32'


def experiment(name: str) -> ModuleType:
    """The module that measures and lays out; only the one for GPUs needs all of lighthead."""
    if name == 'gpu':
        from lighthead.gpu_report import run

        return run
    from lighthead.speed.experiments import EXPERIMENTS

    return EXPERIMENTS[name]


def main(args: argparse.Namespace) -> int | None:
    """Run the subcommand, print its tables and write its files."""
    from rich.console import Console

    from lighthead.report.terminal import print_page
    from lighthead.report.write import prepare_folder
    from lighthead.speed.experiments import run_experiment
    from lighthead.speed.harness.quiet import quiet_libraries
    from lighthead.speed.harness.record import read_record
    from lighthead.speed.report import add_facts, write_report

    if args.out:
        prepare_folder(args.out)
    if args.subcommand not in READING:
        settle_precision(args)
    with quiet_libraries():
        if args.subcommand == 'report':
            record = read_record(args.results[0])
        else:
            record = run_experiment(args, experiment(args.subcommand))
    page = add_facts(record, experiment(record.subcommand).layout(record))
    console = Console(width=None if sys.stdout.isatty() else WIDTH)
    print_page(page, console)
    if args.out:
        console.print(f'written to {args.out}: ' + ', '.join(write_report(record, page, args.out)))
    if not record.complete and args.subcommand not in READING:
        return EXIT_INTERRUPTED
    return EXIT_INTERNAL if record.findings.get('failed') else None
