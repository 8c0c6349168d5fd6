"""The command ``lighthead train``."""

import sys

from lighthead.cli import main

if __name__ == '__main__':
    sys.exit(main(['train', *sys.argv[1:]]))
