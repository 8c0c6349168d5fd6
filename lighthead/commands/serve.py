"""Serve a detector over HTTP: POST an image, get its detections as JSON."""

import argparse

from lighthead.commands import values
from lighthead.commands.detector_arguments import add_runtime, add_score_thr

EXAMPLES = """
  lighthead serve lighthead-people
  lighthead serve model.onnx --port 9000 --batch-size 8 --queue 64
  curl --data-binary @photo.jpg 'http://127.0.0.1:8000/detect?score_thr=0.5'
"""
PACKAGES = ('fastapi', 'uvicorn', 'python_multipart', 'prometheus_client', 'PIL')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``lighthead serve``."""
    parser.add_argument(
        'checkpoint', help='a model of `lighthead models`, a checkpoint, or an exported file'
    )
    add_score_thr(parser)
    add_runtime(parser)
    _add_address(parser)
    _add_limits(parser)


def _add_address(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        '--host', default='127.0.0.1', help='address (default: %(default)s, this machine alone)'
    )
    parser.add_argument(
        '--port',
        type=values.whole_number(0, 65535),
        default=8000,
        help='0 takes a free one (default: %(default)s)',
    )
    parser.add_argument(
        '--allowed-host',
        nargs='+',
        metavar='NAME',
        help='names that requests may be addressed to, such as that of a proxy',
    )


def _add_limits(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        '--batch-size',
        type=values.whole_number(1, 1024),
        default=4,
        metavar='N',
        help='most images per call of the network (default: %(default)s)',
    )
    parser.add_argument(
        '--batch-window',
        type=values.number(0, 1000),
        default=2.0,
        metavar='MS',
        help='how long an image waits for others (default: %(default)s)',
    )
    parser.add_argument(
        '--queue',
        type=values.whole_number(1, 100_000),
        default=32,
        metavar='N',
        help='images that may wait; more get status 503 (default: %(default)s)',
    )
    parser.add_argument(
        '--max-upload',
        type=values.number(0.001, 1024),
        default=20.0,
        metavar='MIB',
        help='largest upload (default: %(default)s)',
    )
    parser.add_argument(
        '--max-pixels',
        type=values.number(0.001, 1000),
        default=50.0,
        metavar='MILLIONS',
        help='largest image, checked before it is decoded (default: %(default)s)',
    )
    parser.add_argument(
        '--upload-timeout',
        type=values.number(0.1, 3600),
        default=30.0,
        metavar='S',
        help='within which an upload must arrive (default: %(default)s)',
    )


def main(args: argparse.Namespace, page: bool = False) -> int:
    """Serve until Ctrl-C or SIGTERM; with the page of ``lighthead demo``, or without."""
    from lighthead.inference.conversions import import_extra

    for package in PACKAGES:
        import_extra(package, 'serve')
    from lighthead.serving.options import ServeOptions
    from lighthead.serving.run import serve

    names = ServeOptions.__dataclass_fields__.keys() - {'page'}
    return serve(ServeOptions(**{name: getattr(args, name) for name in names}, page=page))
