"""What the command lines in ``tools/`` share: arguments, error reporting, exit codes."""

import argparse
import sys
import traceback
from collections.abc import Callable

from mmengine.config import DictAction

from lighthead.errors import EXIT_OK, EXIT_OURS, EXIT_USER, UserError

EXIT_CODES = 'exit codes: 0 done, 2 a mistake in the input (one sentence says which), 1 ours'


def make_parser(description: str) -> argparse.ArgumentParser:
    """A parser with ``--debug`` and the exit codes in its help."""
    parser = argparse.ArgumentParser(description=description, epilog=EXIT_CODES)
    parser.add_argument('--debug', action='store_true', help='show tracebacks of errors')
    return parser


def add_cfg_options(parser: argparse.ArgumentParser) -> None:
    """Add mmdetection's ``--cfg-options``."""
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        metavar='KEY=VALUE',
        help='override settings of the config, e.g. train_dataloader.batch_size=4',
    )


def add_data_root(parser: argparse.ArgumentParser) -> None:
    """Add ``--data-root``."""
    parser.add_argument(
        '--data-root',
        metavar='DIR',
        help='folder in COCO layout; classes come from its JSON (see data/README.md)',
    )


def add_launcher(parser: argparse.ArgumentParser) -> None:
    """Add mmdetection's ``--launcher`` and ``--local-rank``."""
    parser.add_argument(
        '--launcher',
        choices=['none', 'pytorch', 'slurm', 'mpi'],
        default='none',
        help='job launcher',
    )
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0)


def run(main: Callable[[argparse.Namespace], int | None], args: argparse.Namespace) -> int:
    """Call ``main(args)`` and turn what happens into an exit code.

    A :class:`UserError` is printed as one sentence; a closed pipe or Ctrl-C
    ends quietly; anything else is ours and keeps its traceback.
    """
    try:
        return main(args) or EXIT_OK
    except UserError as error:
        if args.debug:
            traceback.print_exc()
        print(f'error: {error}', file=sys.stderr)
        return EXIT_USER
    except KeyboardInterrupt:
        print('interrupted', file=sys.stderr)
        return 130
    except Exception:
        traceback.print_exc()
        print('This looks like a fault of ours: please report it.', file=sys.stderr)
        return EXIT_OURS
