"""Which detections a call of the detector wants."""

import difflib
from collections.abc import Sequence
from typing import NamedTuple

from lighthead.errors import UserError


class Wanted(NamedTuple):
    """Which detections a call wants."""

    score_thr: float
    classes: Sequence[str] | None
    class_agnostic: bool


def checked(
    score_thr: float,
    classes: str | Sequence[str] | None,
    class_agnostic: bool,
    known: Sequence[str],
) -> Wanted:
    """The arguments of a call.

    Args:
        known: Names of the detector's classes.

    Raises:
        UserError: the threshold is not in 0..1, or there is no such class.
    """
    if classes is not None:
        classes = [classes] if isinstance(classes, str) else list(classes)
        for name in classes:
            if name not in known:
                near = difflib.get_close_matches(str(name), known) or known[:5]
                raise UserError(
                    f'The detector knows no class {name!r}; there are, for example, '
                    f'{", ".join(near)}.'
                )
    return Wanted(check_threshold(score_thr), classes, class_agnostic)


def check_threshold(score_thr: float) -> float:
    """The threshold; UserError where it is not in 0..1."""
    if not 0 <= score_thr <= 1:
        raise UserError(f'score_thr={score_thr} is not in 0..1.')
    return score_thr
