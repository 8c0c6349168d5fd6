"""The command ``lighthead infer``."""

import sys

from lighthead.cli import main

if __name__ == '__main__':
    sys.exit(main(['infer', *sys.argv[1:]]))
