"""The command ``lighthead``: its sub-commands, its exit codes, and how errors are reported.

A sub-command is a name in :data:`COMMANDS` and a module of that name in
``lighthead/commands`` with a docstring whose first line is the help text,
``EXAMPLES`` (shown at the end of ``--help``), ``add_arguments(parser)`` and
``main(args)``. These modules are all imported to answer ``--help``, so they import
torch, mmdet and what needs them inside ``main`` only. ``tools/*.py`` call
:func:`main` with the name of their sub-command.
"""

import argparse
import errno
import importlib
import os
import sys
import traceback
from collections.abc import Callable, Sequence

import lighthead
from lighthead.commands.arguments import add_debug
from lighthead.commands.parser import Parser
from lighthead.compat.install_check import check_install
from lighthead.errors import EXIT_INTERNAL, EXIT_OK, EXIT_USER, UserError

COMMANDS = (
    'train',
    'test',
    'report',
    'infer',
    'batch',
    'serve',
    'demo',
    'export',
    'pretrain',
    'speed',
    'complexity',
    'data',
    'convert',
    'info',
    'models',
)
EXIT_CODES = 'exit codes: 0 success, 1 internal error (please report), 2 invalid input'
EXIT_INTERRUPTED, EXIT_BROKEN_PIPE = 130, 141
"""As a shell has it: 128 and the number of the signal."""
OF_THE_PATH = frozenset(
    getattr(errno, name)
    for name in ('EACCES', 'EEXIST', 'EISDIR', 'ELOOP', 'ENAMETOOLONG', 'ENOTDIR', 'EROFS')
)
"""What is wrong with a file's name or place, whatever command was given it."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the sub-command that ``argv`` names (default: the command line) and return its exit code.

    Raises:
        SystemExit: for ``--help`` (0), and where the arguments are invalid (2).
    """
    parser = build_parser()
    _complete(parser)
    args = parser.parse_args(argv)
    return run(args.main, args)


def build_parser() -> Parser:
    """The parser of all sub-commands; ``args.main`` is the function to call."""
    parser = Parser(
        prog='lighthead',
        description='ShuffleNetV2* behind a Light-Head R-CNN head, for MMDetection.',
        epilog=f'lighthead COMMAND --help describes a command\n{EXIT_CODES}',
    )
    parser.add_argument('--version', action='version', version=lighthead.__version__)
    subparsers = parser.add_subparsers(dest='command', metavar='COMMAND', required=True)
    for name in COMMANDS:
        module = importlib.import_module(f'lighthead.commands.{name}')
        text, examples = (module.__doc__ or name).splitlines()[0], module.EXAMPLES.strip('\n')
        sub = subparsers.add_parser(
            name,
            help=text[0].lower() + text[1:].rstrip('.'),
            description=text,
            epilog=f'examples:\n{examples}\n\n{EXIT_CODES}',
        )
        module.add_arguments(sub)
        add_debug(sub)
        sub.set_defaults(main=module.main)
    return parser


def run(main: Callable[[argparse.Namespace], int | None], args: argparse.Namespace) -> int:
    """Call ``main(args)`` and turn what happens into an exit code.

    The message of a :class:`UserError` is printed without its traceback, unless
    ``args.debug`` is set; Ctrl-C and a closed pipe end quietly; anything else is
    an internal error and prints its traceback.
    """
    try:
        return main(args) or EXIT_OK
    except UserError as error:
        return _report(error, args.debug)
    except KeyboardInterrupt:
        print('interrupted', file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:  # whoever read the output, e.g. head, has ended
        sys.stdout = open(os.devnull, 'w')  # noqa: SIM115  (Python flushes it at the exit)
        return EXIT_BROKEN_PIPE
    except Exception as error:
        if isinstance(error, OSError) and error.errno in OF_THE_PATH and error.filename:
            message = f'{error.strerror}: {error.filename!r:.300}: choose another file or folder.'
            return _report(UserError(message), args.debug)
        if isinstance(error, ImportError):
            try:
                check_install()
            except UserError as cause:
                return _report(cause, args.debug)
        traceback.print_exc()
        print('This is an internal error of lighthead: please report it.', file=sys.stderr)
        return EXIT_INTERNAL


def _report(error: UserError, debug: bool) -> int:
    if debug:
        traceback.print_exception(error)
    print(f'error: {error}', file=sys.stderr)
    return EXIT_USER


def _complete(parser: Parser) -> None:
    """Answer the shell's request for completions, where argcomplete is installed."""
    try:
        import argcomplete
    except ImportError:
        return
    argcomplete.autocomplete(parser)


if __name__ == '__main__':
    sys.exit(main())
