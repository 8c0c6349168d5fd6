"""Detect objects in images, folders, globs and videos with a trained checkpoint."""

import sys

from lighthead.cli import make_parser, run


def parse_args():
    parser = make_parser(__doc__)
    parser.add_argument('checkpoint', help='a checkpoint that tools/train.py wrote')
    parser.add_argument(
        'inputs',
        nargs='+',
        metavar='INPUT',
        help="image, video, folder, or glob in quotes, e.g. 'photos/**/*.jpg'",
    )
    parser.add_argument(
        '--out-dir',
        default='outputs',
        help='for vis/ (the drawings) and predictions.json (default: %(default)s)',
    )
    parser.add_argument(
        '--pred-score-thr',
        type=float,
        default=0.3,
        help='detections with a lower score are left out (default: %(default)s)',
    )
    parser.add_argument('--device', help="'cpu', 'cuda', 'cuda:1'... (default: a GPU if there)")
    parser.add_argument('--precision', choices=('fp32', 'bf16', 'fp16'), default='fp32')
    parser.add_argument('--batch-size', type=int, default=1, help='images at once (default: 1)')
    parser.add_argument('--show', action='store_true', help='show each drawing; q stops showing')
    parser.add_argument('--no-save-vis', action='store_true', help='write no drawings')
    parser.add_argument('--no-save-pred', action='store_true', help='write no predictions.json')
    parser.add_argument('--print-result', action='store_true', help='print what was found')
    parser.add_argument(
        '--trust-checkpoint',
        action='store_true',
        help='load a checkpoint that can run code: only if you trust its maker',
    )
    return parser.parse_args()


def main(args):
    from lighthead.commands.infer import InferOptions, infer

    options = vars(args)
    options.pop('debug')
    return infer(InferOptions(**options))


if __name__ == '__main__':
    arguments = parse_args()
    sys.exit(run(main, arguments))
