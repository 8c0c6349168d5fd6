"""Detect objects: ``python tools/infer.py CHECKPOINT photo.jpg folder 'photos/**/*.jpg' clip.mp4``.

Drawings go to ``OUT_DIR/vis``, all boxes to ``OUT_DIR/predictions.json`` in COCO's form.
"""

import sys

from lighthead.cli import make_parser, run
from lighthead.commands.infer import InferOptions, infer
from lighthead.inference.runtimes.torch_backend import BACKENDS


def main() -> int:
    parser = make_parser('Detect objects in images, folders, globs and videos.')
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
        type=float,
        default=0.3,
        help='detections with a lower score are left out (default: %(default)s)',
    )
    parser.add_argument('--device', help="'cpu', 'cuda', 'cuda:1'... (default: a GPU if there)")
    parser.add_argument('--backend', choices=BACKENDS, help='runtime (default: by the file)')
    parser.add_argument(
        '--precision', choices=('fp32', 'bf16', 'fp16', 'int8'), help="(default: the file's, fp32)"
    )
    parser.add_argument('--threads', type=int, metavar='N', help='CPU threads (default: all)')
    parser.add_argument('--batch-size', type=int, default=1, help='images at once (default: 1)')
    parser.add_argument('--show', action='store_true', help='show each drawing; q stops showing')
    parser.add_argument('--no-save-vis', action='store_true', help='write no drawings')
    parser.add_argument('--no-save-pred', action='store_true', help='write no predictions.json')
    parser.add_argument('--print-result', action='store_true', help='print what was found')
    parser.add_argument(
        '--trust-checkpoint',
        action='store_true',
        help='load a file that can run code: only if you trust its maker',
    )
    return run(_infer, parser.parse_args())


def _infer(args) -> int:
    names = InferOptions.__dataclass_fields__
    return infer(InferOptions(**{name: getattr(args, name) for name in names}))


if __name__ == '__main__':
    sys.exit(main())
