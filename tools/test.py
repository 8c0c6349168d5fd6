"""The command ``lighthead test``."""

import sys

from lighthead.cli import main

if __name__ == '__main__':
    sys.exit(main(['test', *sys.argv[1:]]))
