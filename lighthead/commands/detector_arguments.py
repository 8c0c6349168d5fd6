"""Arguments of the commands that run a detector on images."""

import argparse

from lighthead.commands import arguments, values

BACKENDS = ('torch', 'onnxruntime', 'openvino')


def add_detector(parser: argparse.ArgumentParser) -> None:
    """Which detections are kept, and what the network runs on."""
    add_score_thr(parser)
    parser.add_argument(
        '--classes', nargs='+', metavar='NAME', help='detections of other classes are left out'
    )
    parser.add_argument(
        '--class-agnostic',
        action='store_true',
        help='boxes of different classes suppress each other too',
    )
    add_runtime(parser)
    parser.add_argument(
        '--batch-size',
        type=values.automatic(values.whole_number(1, 1024)),
        default='auto',
        metavar='N',
        help='images of one size per call of the network; auto: as many as the backend is fastest '
        'with (default: %(default)s)',
    )
    parser.add_argument(
        '--workers',
        type=values.whole_number(0, 64),
        metavar='N',
        help='threads that read images, and threads that draw (default: half of the cores each)',
    )
    _add_tile(parser)


def add_score_thr(parser: argparse.ArgumentParser) -> None:
    """Add mmdetection's ``--pred-score-thr``."""
    parser.add_argument(
        '--pred-score-thr',
        type=values.number(0, 1),
        default=0.3,
        help='detections with a lower score are left out (default: %(default)s)',
    )


def add_runtime(parser: argparse.ArgumentParser) -> None:
    """Device, backend, precision, threads, and whether a pickle is trusted."""
    parser.add_argument('--device', help="'cpu', 'cuda', 'cuda:1'... (default: a GPU if there)")
    parser.add_argument('--backend', choices=BACKENDS, help='runtime (default: by the file)')
    parser.add_argument(
        '--precision',
        choices=('fp32', 'tf32', 'bf16', 'fp16', 'int8'),
        help="(default: the file's, fp32)",
    )
    parser.add_argument(
        '--threads',
        type=values.whole_number(1, 1024),
        metavar='N',
        help='CPU threads (default: all)',
    )
    arguments.add_trust_checkpoint(parser)


def _add_tile(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        '--tile',
        type=values.whole_number(32),
        metavar='PIXELS',
        help='larger images are also cut into squares of this size, each detected in by itself',
    )
    parser.add_argument(
        '--overlap',
        type=values.number(0, 0.9),
        default=0.2,
        metavar='SHARE',
        help='share of a tile that its neighbour covers too (default: %(default)s)',
    )
