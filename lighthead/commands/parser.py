"""The parser of the command line: invalid arguments end in one line.

Imports the standard library only, so that ``--help`` is quick.
"""

import argparse
import difflib
import sys
from collections.abc import Iterable
from typing import Any, NoReturn

from lighthead.errors import EXIT_USER, shortened


class HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Keeps the line breaks of examples, with room for long names of commands."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=28, width=100)


class Parser(argparse.ArgumentParser):
    """A parser that reports invalid arguments in one line and exits with 2.

    Attributes:
        intermixed: Whether flags may stand between the positional arguments where one of
            them is optional, which argparse does not parse by itself.
    """

    intermixed = False
    _mixing = False

    def __init__(self, **settings: Any) -> None:
        settings.setdefault('formatter_class', HelpFormatter)
        super().__init__(allow_abbrev=False, **settings)

    def error(self, message: str) -> NoReturn:
        """Print the error message and exit."""
        print(shortened(f'error: {message}; see {self.prog} --help'), file=sys.stderr)
        raise SystemExit(EXIT_USER)

    def parse_known_args(
        self, args: Iterable[str] | None = None, namespace: Any = None
    ) -> tuple[Any, list[str]]:
        """Parse, and refuse what is unknown here, where the similar flags are known."""
        if self._mixing:  # argparse's own two passes: positional arguments are left for the second
            return super().parse_known_args(args, namespace)
        if self.intermixed:
            self._mixing = True
            try:
                parsed, unknown = super().parse_known_intermixed_args(args, namespace)
            finally:
                self._mixing = False
        else:
            parsed, unknown = super().parse_known_args(args, namespace)
        if unknown:
            flags = [text for text in unknown if text.startswith('-')]
            if not flags:
                self.error(f'unexpected argument {unknown[0]}')
            name = flags[0].partition('=')[0]
            similar = difflib.get_close_matches(name, self._option_string_actions, n=1)
            hint = f' (did you mean {similar[0]}?)' if similar else ''
            self.error(f'unknown option {name}{hint}')
        return parsed, unknown
