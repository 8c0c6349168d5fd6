"""The command ``lighthead export``."""

import sys

from lighthead.cli import main

if __name__ == '__main__':
    sys.exit(main(['export', *sys.argv[1:]]))
