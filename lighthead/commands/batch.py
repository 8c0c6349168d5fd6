"""Detect objects in millions of images, on one machine or many, into Parquet files."""

import argparse

from lighthead.commands import values
from lighthead.commands.detector_arguments import add_detector

EXAMPLES = """
  lighthead batch photos results --model lighthead-people
  lighthead batch 'shards/*.tar' results --model model.onnx --shard 3/16
  lighthead batch table.parquet results --model model.onnx --executor ray --actors 4
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``lighthead batch``."""
    parser.add_argument(
        'input',
        help='a folder or a glob in quotes of images, of Parquet tables or of tar files '
        '(WebDataset), one of these, or a .txt list of paths',
    )
    parser.add_argument('out', help='folder of the results; what is done there is skipped')
    parser.add_argument(
        '--model',
        required=True,
        help='a model of `lighthead models`, a checkpoint, or an exported file',
    )
    parser.add_argument(
        '--column', metavar='NAME', help='of a table: paths, or images (default: by the name)'
    )
    parser.add_argument(
        '--shard-size',
        type=values.whole_number(1),
        default=1000,
        metavar='N',
        help='images of an output file, except of tar files (default: %(default)s)',
    )
    add_detector(parser)
    _add_executor(parser)


def _add_executor(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        '--shard',
        type=_share,
        default=(0, 1),
        metavar='I/N',
        help='do every Nth shard from the one numbered I, from 0: one process of an array of N',
    )
    parser.add_argument(
        '--executor',
        choices=('process', 'ray'),
        default='process',
        help='this process alone, or Ray Data (default: %(default)s)',
    )
    parser.add_argument('--address', help='of a Ray cluster (default: one is started here)')
    parser.add_argument(
        '--actors', type=values.whole_number(1), metavar='N', help='processes with the model'
    )
    parser.add_argument(
        '--cpus-per-actor',
        type=values.positive_number,
        metavar='N',
        help='(default: --threads, or 1)',
    )
    parser.add_argument(
        '--gpus-per-actor',
        type=values.number(0),
        default=0.0,
        metavar='N',
        help='shares of a GPU are possible (default: %(default)g)',
    )


def _share(text: str) -> tuple[int, int]:
    """The type of an argument: ``I/N`` with 0 <= I < N."""
    first, sign, count = text.partition('/')
    if sign and first.isdecimal() and count.isdecimal() and int(first) < int(count):
        return int(first), int(count)
    raise argparse.ArgumentTypeError(f'{text!r} is not I/N with I from 0 to N - 1, such as 0/4')


def main(args: argparse.Namespace) -> int:
    """Detect; 2 where a shard failed."""
    from lighthead.inference.batch.options import BatchOptions
    from lighthead.inference.batch.run import batch

    names = BatchOptions.__dataclass_fields__
    return batch(BatchOptions(**{name: getattr(args, name) for name in names}))
