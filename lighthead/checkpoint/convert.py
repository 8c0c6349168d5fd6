"""Converts a foreign checkpoint, once, into one that loads without unpickling.

``python -m lighthead.checkpoint.convert IN.pth OUT.pth --trust-checkpoint``
unpickles IN, which may run code that it carries, keeps its weights and what
of its meta data is plain, and writes OUT.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

from lighthead.checkpoint.plain_data import to_plain
from lighthead.checkpoint.safe_files import load_checkpoint_file, save_checkpoint_file
from lighthead.cli import make_parser, run
from lighthead.errors import UserError


def convert_checkpoint(source: Path, target: Path, trust: bool) -> list[str]:
    """Write the weights and plain meta data of ``source`` to ``target``.

    Returns:
        The meta fields that were left out because they are not plain data.
    """
    checkpoint = load_checkpoint_file(source, trust=trust)
    dropped = [key for key, value in checkpoint['meta'].items() if not _is_plain(value)]
    meta = {key: value for key, value in checkpoint['meta'].items() if key not in dropped}
    weights = to_plain(checkpoint['state_dict'], 'state_dict')
    save_checkpoint_file({'meta': meta, 'state_dict': weights}, target)
    return dropped


def _is_plain(value: Any) -> bool:
    try:
        to_plain(value)
    except UserError:
        return False
    return True


def main(args: argparse.Namespace) -> None:
    dropped = convert_checkpoint(args.source, args.target, args.trust_checkpoint)
    left_out = f'; left out of its meta data: {", ".join(dropped)}' if dropped else ''
    print(f'wrote {args.target}{left_out}')


def parse_args() -> argparse.Namespace:
    parser = make_parser(__doc__.splitlines()[0])
    parser.add_argument('source', type=Path)
    parser.add_argument('target', type=Path)
    parser.add_argument(
        '--trust-checkpoint',
        action='store_true',
        help='unpickle SOURCE, which may run code that it carries',
    )
    return parser.parse_args()


if __name__ == '__main__':
    sys.exit(run(main, parse_args()))
