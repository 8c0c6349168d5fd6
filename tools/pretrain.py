"""The command ``lighthead pretrain``."""

import sys

from lighthead.cli import main

if __name__ == '__main__':
    sys.exit(main(['pretrain', *sys.argv[1:]]))
