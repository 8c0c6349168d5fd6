"""Report on a detector as one HTML page: figures, curves, kinds of errors, worst images."""

import argparse
from pathlib import Path

from lighthead.commands import arguments, values
from lighthead.commands.parser import Parser

EXAMPLES = """
  lighthead report lighthead-people --data-root my_photos
  lighthead report CONFIG CHECKPOINT --out report.html
  lighthead report --predictions found.json --annotations val.json --images photos
  lighthead report --compare old.json new.pth --data-root my_photos
"""


def add_arguments(parser: Parser) -> None:
    """Add the arguments of ``lighthead report``."""
    parser.intermixed = True
    parser.add_argument(
        'detector',
        nargs='*',
        metavar='[CONFIG] CHECKPOINT',
        help='as of lighthead test; nothing with --predictions or --compare',
    )
    parser.add_argument(
        '--compare',
        nargs=2,
        metavar=('A', 'B'),
        help='two runs side by side: each a file of COCO results, a checkpoint or a model name',
    )
    parser.add_argument(
        '--predictions', type=Path, metavar='FILE', help='COCO results instead of a checkpoint'
    )
    parser.add_argument(
        '--annotations', type=Path, metavar='FILE', help='COCO annotations of the predictions'
    )
    parser.add_argument('--images', type=Path, metavar='DIR', help='their images, to draw boxes in')
    parser.add_argument('--out', type=Path, metavar='FILE', help='(<work dir>/report.html)')
    parser.add_argument(
        '--score-thr',
        type=values.number(0.0, 1.0),
        metavar='SCORE',
        help='threshold of confusion matrix and images (the one that maximises F1)',
    )
    parser.add_argument('--work-dir', help='predictions, log and report (work_dirs/<config>)')
    arguments.add_trust_checkpoint(parser)
    arguments.add_data_root(parser)
    arguments.add_img_scale(parser)
    arguments.add_workers(parser)
    arguments.add_cfg_options(parser)


def main(args: argparse.Namespace) -> None:
    """Write the report."""
    from lighthead.commands.report_job import report

    report(args)
