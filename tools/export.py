"""Export a checkpoint: ``python tools/export.py CHECKPOINT --format onnx --out model.onnx``.

The file holds the whole detector and its class names; ``Detector('model.onnx')`` runs it.
"""

import argparse
import sys

from lighthead.cli import add_data_root, make_parser, run
from lighthead.commands.export import FORMATS, ExportOptions, export


def main() -> int:
    parser = make_parser('Export a checkpoint for ONNX Runtime, OpenVINO or torch.export.')
    parser.add_argument('checkpoint', help='a checkpoint that training wrote; no config is needed')
    parser.add_argument('--format', choices=tuple(FORMATS), default='onnx')
    parser.add_argument('--out', required=True, metavar='FILE', help='.onnx, .xml or .pt2')
    parser.add_argument(
        '--score-thr', type=float, help='leave out lower scores (default: as in the config)'
    )
    parser.add_argument(
        '--nms-pre', type=int, metavar='N', help='proposals before suppression (default: config)'
    )
    parser.add_argument('--int8', action='store_true', help='quantise the convolutions')
    parser.add_argument('--calib', metavar='DIR', help='pictures to calibrate INT8 with')
    parser.add_argument('--calib-images', type=int, default=200, metavar='N')
    parser.add_argument(
        '--eval-images', type=int, metavar='N', help='measure AP on the first N only'
    )
    parser.add_argument(
        '--trust-checkpoint',
        action='store_true',
        help='load a file that can run code: only if you trust its maker',
    )
    add_data_root(parser)
    return run(_export, parser.parse_args())


def _export(args: argparse.Namespace) -> None:
    names = ExportOptions.__dataclass_fields__
    export(ExportOptions(**{name: getattr(args, name) for name in names}))


if __name__ == '__main__':
    sys.exit(main())
