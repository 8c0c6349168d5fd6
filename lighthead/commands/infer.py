"""Detect objects in images, folders, globs and videos."""

import argparse

from lighthead.commands import arguments

EXAMPLES = """
  lighthead infer work_dirs/demo/epoch_60.pth photo.jpg folder clip.mp4 --out-dir outputs
  lighthead infer model.onnx 'photos/**/*.jpg' --pred-score-thr 0.5
"""
BACKENDS = ('torch', 'onnxruntime', 'openvino')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``lighthead infer``."""
    parser.add_argument('checkpoint', help='a checkpoint, or an exported file')
    parser.add_argument(
        'inputs',
        nargs='+',
        metavar='INPUT',
        help="image, video, folder, or a glob in quotes, e.g. 'photos/**/*.jpg'",
    )
    parser.add_argument('--out-dir', default='outputs', help='results (default: %(default)s)')
    parser.add_argument(
        '--pred-score-thr',
        type=arguments.number(0, 1),
        default=0.3,
        help='detections with a lower score are left out (default: %(default)s)',
    )
    parser.add_argument('--device', help="'cpu', 'cuda', 'cuda:1'... (default: a GPU if there)")
    parser.add_argument('--backend', choices=BACKENDS, help='runtime (default: by the file)')
    parser.add_argument(
        '--precision', choices=('fp32', 'bf16', 'fp16', 'int8'), help="(default: the file's, fp32)"
    )
    parser.add_argument(
        '--threads',
        type=arguments.whole_number(1, 1024),
        metavar='N',
        help='CPU threads (default: all)',
    )
    parser.add_argument(
        '--batch-size',
        type=arguments.whole_number(1, 1024),
        default=1,
        metavar='N',
        help='images per call of the network (default: 1)',
    )
    parser.add_argument('--show', action='store_true', help='show each drawing; q stops showing')
    parser.add_argument('--no-save-vis', action='store_true', help='write no drawings')
    parser.add_argument('--no-save-pred', action='store_true', help='write no predictions.json')
    parser.add_argument('--print-result', action='store_true', help='print the detections')
    arguments.add_trust_checkpoint(parser)


def main(args: argparse.Namespace) -> int:
    """Detect; 2 where an input could not be read."""
    from lighthead.commands.infer_job import infer

    return infer(args)
