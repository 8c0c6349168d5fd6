"""The command ``lighthead speed``."""

import sys

from lighthead.cli import main

if __name__ == '__main__':
    sys.exit(main(['speed', *sys.argv[1:]]))
