"""How a detector's multiply-adds divide over its parts."""

import sys

from lighthead.cli import run
from lighthead.commands.complexity import build_parser, main

if __name__ == '__main__':
    sys.exit(run(main, build_parser().parse_args()))
