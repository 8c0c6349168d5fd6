"""What ``tools/speed.py`` does: the paper's speed experiments on this machine."""

import argparse
import math
import sys
import warnings
from pathlib import Path

from rich.console import Console

from lighthead.cli import EXIT_CODES

SUBCOMMANDS = {
    'detector': 'images/s and time per part of one or several detectors (Table 7)',
    'table8': 'every network of Table 8: MACs and speed beside the paper',
    'resolutions': 'four networks at four complexities and three sizes (appendix)',
    'blocks': 'single building blocks at equal FLOPs (appendix)',
    'guidelines': 'guidelines G1 to G4: does each hold here? (Tables 1-4)',
    'breakdown': "where a network's time goes, by kind of operation (Figure 2)",
    'compare': 'two results.json side by side: two machines or two versions',
}


class SentenceParser(argparse.ArgumentParser):
    """A parser that answers bad arguments with one sentence."""

    def error(self, message: str) -> None:
        """Print the sentence and exit with 2."""
        print(f'error: {message}; see {self.prog} --help', file=sys.stderr)
        raise SystemExit(2)


def at_least_one(text: str) -> int:
    """An integer of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f'{text!r} is not a whole number of at least 1')
    return int(text)


def seconds(text: str) -> float:
    """A positive, finite number."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise argparse.ArgumentTypeError(f'{text!r} is not a number of seconds above 0')
    return value


def height_width(text: str) -> tuple[int, int]:
    """``224``, or ``HxW`` such as ``480x640``."""
    parts = text.lower().split('x')
    if len(parts) not in (1, 2) or not all(part.isdecimal() for part in parts):
        raise argparse.ArgumentTypeError(f'{text!r} is not a size: write 224 or 480x640 (HxW)')
    height, width = int(parts[0]), int(parts[-1])
    if min(height, width) < 32:
        raise argparse.ArgumentTypeError(f'{text!r} is too small: sides of 32 pixels at the least')
    return height, width


def build_parser() -> argparse.ArgumentParser:
    """The command line of ``tools/speed.py``."""
    parser = SentenceParser(
        description='How fast is it really, here: the speed experiments of ShuffleNet V2.',
        epilog=EXIT_CODES,
    )
    subparsers = parser.add_subparsers(
        dest='subcommand', metavar='SUBCOMMAND', required=True, parser_class=SentenceParser
    )
    for name, text in SUBCOMMANDS.items():
        sub = subparsers.add_parser(name, help=text, description=text, epilog=EXIT_CODES)
        sub.add_argument('--debug', action='store_true', help='show tracebacks of errors')
        sub.add_argument(
            '--out', type=Path, metavar='DIR', help='write JSON, CSV, PNG, HTML and Markdown'
        )
        if name == 'compare':
            sub.add_argument('results', nargs=2, type=Path, metavar='RESULTS.json')
        else:
            _add_measuring(sub, with_shape=name in ('detector', 'table8', 'breakdown'))
    _add_detector(subparsers.choices['detector'])
    subparsers.choices['breakdown'].add_argument(
        'networks',
        nargs='*',
        metavar='NETWORK',
        help='keys of table8 (default: those of Figure 2 and ShuffleNet v2 1x)',
    )
    subparsers.choices['table8'].add_argument(
        '--only',
        nargs='+',
        action='extend',
        metavar='NETWORK',
        help='keys of the networks to time',
    )
    return parser


def _add_measuring(parser: argparse.ArgumentParser, with_shape: bool) -> None:
    parser.add_argument('--device', default='cpu', help='cpu (default), cuda, cuda:1')
    parser.add_argument('--threads', type=at_least_one, metavar='N', help='CPU threads')
    parser.add_argument('--batch', type=at_least_one, metavar='N', help='images per call')
    if with_shape:
        parser.add_argument('--shape', type=height_width, metavar='HxW', help='size of the input')
    parser.add_argument('--fuse-bn', action='store_true', help='fold batch norm into convolutions')
    parser.add_argument('--channels-last', action='store_true', help='NHWC memory format')
    parser.add_argument('--amp', action='store_true', help='autocast: fp16 on GPU, bf16 on CPU')
    parser.add_argument('--compile', action='store_true', help='torch.compile')
    parser.add_argument(
        '--min-time', type=seconds, default=2.0, metavar='S', help='seconds per measurement (2)'
    )
    parser.add_argument('--quick', action='store_true', help='a rough answer in about a minute')
    parser.add_argument(
        '--memory', action=argparse.BooleanOptionalAction, default=True, help='peak memory too'
    )
    parser.add_argument('--seed', type=int, default=0, help='of weights and images')


def _add_detector(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('configs', nargs='+', metavar='CONFIG', help='detectors, side by side')
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


def main(args: argparse.Namespace) -> int | None:
    """Run the subcommand, print its tables and write its files."""
    from lighthead.speed.console import print_result
    from lighthead.speed.report import prepare_folder, write_report
    from lighthead.speed.subcommands import run_subcommand

    if args.out:
        prepare_folder(args.out)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', FutureWarning)  # of libraries, nothing to do here
        warnings.filterwarnings('ignore', message='torch.meshgrid')
        result = run_subcommand(args)
    console = Console(width=None if sys.stdout.isatty() else 160)
    print_result(result, console)
    if args.out:
        files = write_report(result, args.out)
        console.print(f'written to {args.out}: ' + ', '.join(file.name for file in files))
    return None if result.complete else 130
