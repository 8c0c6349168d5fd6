"""Closed, typed data: the base of everything that a file from outside may say.

A subclass lists every field with its type and its bounds. What a file holds beyond that is an
error, and so are values of another type: nothing is converted, except that a list counts as a
tuple, because JSON has no tuples. Infinity and NaN are refused.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, Strict, ValidationError

from lighthead.errors import UserError

MAX_TEXT = 4_000_000
"""Characters of a JSON text that are read at all."""
SHOWN = 60
"""Characters of a refused value that an error message shows."""

T = TypeVar('T')
Pair = Annotated[tuple[T, T], Strict(False)]
Triple = Annotated[tuple[T, T, T], Strict(False)]
Four = Annotated[tuple[T, T, T, T], Strict(False)]
One = Annotated[tuple[T], Strict(False)]
"""Tuples that are lists in JSON; their items keep their strict types."""

Share = Annotated[float, Field(ge=0, le=1)]
"""A score, an overlap, a probability."""


class Closed(BaseModel):
    """Base of the schema: unknown fields and wrong types are errors, instances do not change."""

    model_config = ConfigDict(extra='forbid', strict=True, frozen=True, allow_inf_nan=False)

    @classmethod
    def parse(cls, data: Any, what: str) -> Self:
        """Check plain data.

        Args:
            what: Where the data came from; begins the error message.

        Raises:
            UserError: it does not fit; the message names the first field that does not.
        """
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            raise refusal(error, what) from None

    @classmethod
    def parse_json(cls, text: Any, what: str) -> Self:
        """Check a JSON text; see :meth:`parse`."""
        if not isinstance(text, str) or len(text) > MAX_TEXT:
            raise UserError(f'{what} is not a text of at most {MAX_TEXT} characters.')
        try:
            return cls.model_validate_json(text)
        except (ValidationError, UnicodeEncodeError) as error:
            raise refusal(error, what) from None

    def to_json(self) -> str:
        """The text that :meth:`parse_json` reads, defaults included."""
        return self.model_dump_json()

    def changed(self, **fields: Any) -> Self:
        """A checked copy with other values.

        Raises:
            UserError: a value does not fit.
        """
        return self.parse({**self.model_dump(), **fields}, type(self).__name__)


def refusal(error: ValueError, what: str) -> UserError:
    """The error message for the first of the faults that pydantic lists."""
    if not isinstance(error, ValidationError):
        return UserError(f'{what} is not valid text ({type(error).__name__}).')
    first = error.errors(include_url=False)[0]
    path = '.'.join(part[:SHOWN] for part in field_path(first['loc']))
    value = shown(first['input'])
    reason = first['msg'].removeprefix('Value error, ')
    if not path:
        return UserError(f'{what} is refused: {reason[:300]}.')
    if first['type'] == 'missing':
        return UserError(f'{what} is refused: {path} is missing.')
    return UserError(f'{what} is refused: {path}={value}: {reason[:300]}.')


def field_path(loc: Sequence[str | int]) -> list[str]:
    """The names of fields on the way to a fault, without the types of unions between them."""
    return [str(part) for part in loc if re.fullmatch(r'(?![A-Z])\w+', str(part))]


def shown(value: Any) -> str:
    """A short form of any value for an error message; containers are only named."""
    if isinstance(value, Mapping | list | tuple | set):
        return f'{type(value).__name__} of {len(value)}'
    if isinstance(value, int) and value.bit_length() > 200:
        return f'an integer of {value.bit_length()} bits'
    text = repr(value[:SHOWN] if isinstance(value, str | bytes) else value)
    return text if len(text) <= SHOWN + 2 else f'{text[:SHOWN]}...'
