"""Evaluate a checkpoint: COCO box AP by IoU, object size and class."""

import argparse

from lighthead.commands import arguments
from lighthead.commands.parser import Parser

EXAMPLES = """
  lighthead test lighthead_shufflev2star work_dirs/run/epoch_20.pth --data-root data/coco
  lighthead test CHECKPOINT --data-root data/coco
  lighthead test CONFIG CHECKPOINT --out results.json --show-dir pictures
"""


def add_arguments(parser: Parser) -> None:
    """Add the arguments of ``lighthead test``."""
    parser.intermixed = True
    parser.add_argument(
        'config',
        metavar='config',
        nargs='?',
        help='config file or name; without it, the detector and its image size are taken from the '
        'checkpoint, and --data-root is needed',
    )
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('--work-dir', help='metrics.json and logs (work_dirs/<config>)')
    parser.add_argument('--out', metavar='FILE', help='write the detections as COCO results JSON')
    parser.add_argument('--show-dir', metavar='DIR', help='write pictures with the detections')
    parser.add_argument('--tta', action='store_true', help=argparse.SUPPRESS)
    arguments.add_trust_checkpoint(parser)
    arguments.add_data_root(parser)
    arguments.add_img_scale(parser)
    arguments.add_workers(parser)
    arguments.add_launcher(parser)
    arguments.add_cfg_options(parser)


def main(args: argparse.Namespace) -> None:
    """Evaluate."""
    from lighthead.commands.test_job import test

    test(args)
