"""Convert a foreign checkpoint, once, into one that loads without unpickling."""

import argparse
from pathlib import Path

from lighthead.commands import arguments

EXAMPLES = """
  lighthead convert theirs.pth converted.pth --trust-checkpoint
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``lighthead convert``."""
    parser.add_argument('source', type=Path, help='checkpoint of mmdetection or another project')
    parser.add_argument('target', type=Path, help='file to write')
    arguments.add_trust_checkpoint(parser)


def main(args: argparse.Namespace) -> None:
    """Keep the weights, and what is plain data of the rest."""
    from lighthead.checkpoint.convert import convert_checkpoint

    dropped = convert_checkpoint(args.source, args.target, args.trust_checkpoint)
    left_out = f'; left out of its meta data: {", ".join(dropped)}' if dropped else ''
    print(f'wrote {args.target}{left_out}')
