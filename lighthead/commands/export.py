"""Export a checkpoint for ONNX Runtime, OpenVINO, ncnn or torch.export."""

import argparse

from lighthead.commands import arguments, values

EXAMPLES = """
  lighthead export work_dirs/demo/best.pth --out model.onnx
  lighthead export CHECKPOINT --format openvino --out model.xml
  lighthead export CHECKPOINT --format ncnn --out model.ncnn.param
  lighthead export CHECKPOINT --out int8.onnx --int8 --calib pictures --data-root my_data
"""
FORMATS = ('onnx', 'openvino', 'ncnn', 'torch')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``lighthead export``."""
    parser.add_argument('checkpoint', help='a checkpoint that training wrote; no config is needed')
    parser.add_argument('--format', choices=FORMATS, default='onnx')
    parser.add_argument(
        '--out', required=True, metavar='FILE', help='.onnx, .xml, .ncnn.param or .pt2'
    )
    parser.add_argument(
        '--score-thr',
        type=values.number(0, 1),
        help='leave out lower scores (default: as in the config)',
    )
    parser.add_argument(
        '--nms-pre',
        type=values.whole_number(),
        metavar='N',
        help='proposals before suppression (default: config)',
    )
    parser.add_argument('--int8', action='store_true', help='quantise the convolutions')
    parser.add_argument('--calib', metavar='DIR', help='pictures to calibrate INT8 with')
    parser.add_argument(
        '--calib-images', type=values.whole_number(), default=200, metavar='N', help='(200)'
    )
    parser.add_argument(
        '--eval-images',
        type=values.whole_number(),
        metavar='N',
        help='measure AP on the first N only',
    )
    arguments.add_trust_checkpoint(parser)
    arguments.add_data_root(parser)


def main(args: argparse.Namespace) -> None:
    """Write the file and check it against torch."""
    from lighthead.commands.export_job import export

    export(args)
