"""Detect objects in images, folders, globs, videos, cameras and streams."""

import argparse

from lighthead.commands.detector_arguments import add_detector

EXAMPLES = """
  lighthead infer lighthead-people photo.jpg
  lighthead infer work_dirs/demo/best.pth photo.jpg folder clip.mp4 --out-dir outputs
  lighthead infer model.onnx 'photos/**/*.jpg' --pred-score-thr 0.5 --format coco,csv --resume
  lighthead infer model.onnx rtsp://camera/stream --live --track
  lighthead infer model.onnx aerial.tif --tile 640 --overlap 0.2
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``lighthead infer``."""
    _add_inputs(parser)
    add_detector(parser)
    _add_outputs(parser)


def _add_inputs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        'checkpoint', help='a model of `lighthead models`, a checkpoint, or an exported file'
    )
    parser.add_argument(
        'inputs',
        nargs='+',
        metavar='INPUT',
        help="image, video, folder, a glob in quotes, e.g. 'photos/**/*.jpg', a camera's number, "
        'an address (rtsp://, http://), or - for images or a video from standard input',
    )
    parser.add_argument(
        '--live', action='store_true', help='drop frames of videos and streams to keep up'
    )
    parser.add_argument('--track', action='store_true', help='number the objects of a video')


def _add_outputs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--out-dir', default='outputs', help='results (default: %(default)s)')
    parser.add_argument(
        '--format',
        default='coco',
        metavar='NAMES',
        help='coco, json, jsonl, csv, yolo, parquet, or several with commas (default: coco)',
    )
    parser.add_argument(
        '--resume',
        action='store_true',
        help='continue the interrupted run in --out-dir: what is done is skipped',
    )
    parser.add_argument('--show', action='store_true', help='show each drawing; q stops showing')
    parser.add_argument('--no-save-vis', action='store_true', help='write no drawings')
    parser.add_argument('--no-save-pred', action='store_true', help='write no results')
    parser.add_argument('--print-result', action='store_true', help='print the detections')


def main(args: argparse.Namespace) -> int:
    """Detect; 2 where an input could not be read."""
    from lighthead.inference.jobs.options import InferOptions
    from lighthead.inference.jobs.run import infer

    names = InferOptions.__dataclass_fields__
    return infer(InferOptions(**{name: getattr(args, name) for name in names}))
