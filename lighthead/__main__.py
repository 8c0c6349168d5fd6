"""``python -m lighthead``, and ``torchrun -m lighthead``: the command :mod:`lighthead.cli`."""

import sys

from lighthead.cli import main

if __name__ == '__main__':
    sys.exit(main())
