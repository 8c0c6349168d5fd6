"""How fast is it really, here: the speed experiments of the ShuffleNet V2 paper."""

import sys

from lighthead.cli import run
from lighthead.commands.speed import build_parser, main

if __name__ == '__main__':
    sys.exit(run(main, build_parser().parse_args()))
