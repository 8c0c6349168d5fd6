"""Errors that a user can cause, and the exit codes that every command uses."""

EXIT_OK = 0
EXIT_OURS = 1
"""A fault of ours: a traceback is printed, please report it."""
EXIT_USER = 2
"""A mistake in the input: one sentence says which, and the way out."""


class UserError(Exception):
    """Something the user can put right.

    The message is one clear sentence that names the path or field at fault and
    the way out. Commands print it without a traceback and exit with 2;
    ``--debug`` shows the traceback.
    """


class InstallError(UserError, ImportError):
    """The environment cannot run lighthead: a library is missing or does not fit."""
