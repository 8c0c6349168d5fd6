"""Show a detector on a page in the browser: images, videos, the webcam."""

import argparse

from lighthead.commands import serve

EXAMPLES = """
  lighthead demo lighthead-people
  lighthead demo work_dirs/demo/best.pth --port 9000
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``lighthead demo``, those of ``lighthead serve``."""
    serve.add_arguments(parser)


def main(args: argparse.Namespace) -> int:
    """Serve the page until Ctrl-C or SIGTERM."""
    return serve.main(args, page=True)
