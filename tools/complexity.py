"""The command ``lighthead complexity``."""

import sys

from lighthead.cli import main

if __name__ == '__main__':
    sys.exit(main(['complexity', *sys.argv[1:]]))
