"""Evaluate a checkpoint: ``python tools/test.py CONFIG CHECKPOINT``."""

import argparse
import sys

from lighthead.cli import add_cfg_options, add_data_root, add_launcher, make_parser, run
from lighthead.commands.test import TestOptions, test


def main() -> int:
    parser = make_parser('Evaluate a checkpoint: COCO box AP per IoU, size and class.')
    parser.add_argument('config', help='the config it was trained with')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('--work-dir', help='metrics.json and logs (work_dirs/<config>)')
    parser.add_argument('--out', metavar='FILE', help='write the detections as COCO results JSON')
    parser.add_argument('--show-dir', metavar='DIR', help='write pictures with the detections')
    parser.add_argument(
        '--trust-checkpoint', action='store_true', help='unpickle a foreign file: it may run code'
    )
    add_data_root(parser)
    add_launcher(parser)
    add_cfg_options(parser)
    return run(_test, parser.parse_args())


def _test(args: argparse.Namespace) -> None:
    names = TestOptions.__dataclass_fields__
    test(TestOptions(**{name: getattr(args, name) for name in names}))


if __name__ == '__main__':
    sys.exit(main())
