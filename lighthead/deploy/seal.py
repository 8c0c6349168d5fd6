"""A checksum inside an exported file, so that damage is seen before a runtime reads it.

The checksum is a SHA-256 of the whole content with 64 zeros in its stead. It says that a file
is as it was written, not who wrote it: what a file may hold is checked as well.
"""

import hashlib
import re

from lighthead.errors import UserError

KEY = 'sha256'
"""Of the metadata; the value is JSON, like the others'."""
UNSEALED = '0' * 64
EMPTY = f'"{UNSEALED}"'
"""What :func:`sealed` fills."""


def sealed(content: bytes, *more: bytes) -> bytes:
    """The content with the checksum in place of the last 64 zeros.

    Args:
        content: Of the file, with :data:`EMPTY` as the value of its metadata's :data:`KEY`.
        more: Content of further files that belong to it.
    """
    before, zeros, after = content.rpartition(UNSEALED.encode())
    if not zeros:
        raise ValueError('the content has no zeros to replace by a checksum')
    return before + _digest(content, more).encode() + after


def check_seal(value: str | None, path: object, content: bytes, *more: bytes) -> None:
    """Raise a UserError where the content is not what the checksum was made from.

    Args:
        value: Of the metadata's :data:`KEY`; None in files of earlier versions.
        path: Of the file, for the message.
        content, more: As for :func:`sealed`.
    """
    if value is None:
        return
    checksum = value.strip('"')
    whole = re.fullmatch('[0-9a-f]{64}', checksum) is not None
    before, there, after = content.rpartition((checksum if whole else UNSEALED).encode())
    unsealed = before + UNSEALED.encode() + after
    if not whole or not there or _digest(unsealed, more) != checksum:
        raise UserError(
            f'{path} is damaged (its checksum does not fit): copy it again, or export the '
            'checkpoint again.'
        )


def _digest(content: bytes, more: tuple[bytes, ...]) -> str:
    digest = hashlib.sha256(content)
    for part in more:
        digest.update(part)
    return digest.hexdigest()
