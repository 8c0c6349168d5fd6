"""Errors that a user can cause, and the exit codes that every command uses."""

EXIT_OK = 0
EXIT_INTERNAL = 1
"""An error in lighthead: a traceback is printed; please report it."""
EXIT_USER = 2
"""Invalid input: the error message says what is wrong and how to put it right."""


LONGEST_MESSAGE = 2000
"""Characters of an error message; what a user's file or option adds to it may be endless."""


class UserError(Exception):
    """Something that the user can put right.

    The message names the path or field at fault and the way out. Commands print
    it without a traceback and exit with 2; ``--debug`` shows the traceback.
    """

    def __str__(self) -> str:
        return shortened(super().__str__())


def shortened(text: str) -> str:
    """A message without its middle, where it is longer than :data:`LONGEST_MESSAGE`."""
    if len(text) <= LONGEST_MESSAGE:
        return text
    half = LONGEST_MESSAGE // 2 - 10
    return f'{text[:half]} [...] {text[-half:]}'


class InstallError(UserError, ImportError):
    """The environment cannot run lighthead: a library is missing or does not fit."""


def missing_extra(package: str, extra: str) -> UserError:
    """The error for a package that is not installed and that an extra of lighthead brings."""
    return UserError(
        f"{package} is not installed: pip install 'lighthead[{extra}]', or make setup "
        f'EXTRAS=lite,{extra}.'
    )
