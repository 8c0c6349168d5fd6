"""Types of the values of arguments: what is given, or an error message that says what fits."""

import argparse
import math
from collections.abc import Callable


def whole_number(minimum: int = 1, maximum: int | None = None) -> Callable[[str], int]:
    """The type of an argument: a whole number from ``minimum`` to ``maximum``."""
    span = f'of at least {minimum}' if maximum is None else f'from {minimum} to {maximum}'

    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = minimum - 1
        if value < minimum or (maximum is not None and value > maximum):
            raise argparse.ArgumentTypeError(f'{text!r} is not a whole number {span}')
        return value

    return parse


def automatic(parse: Callable[[str], int]) -> Callable[[str], int | None]:
    """The type of an argument that may also be ``auto``, which is None."""
    return lambda text: None if text == 'auto' else parse(text)


def number(minimum: float, maximum: float = math.inf) -> Callable[[str], float]:
    """The type of an argument: a finite number from ``minimum`` to ``maximum``."""
    span = f'of at least {minimum:g}' if maximum == math.inf else f'from {minimum:g} to {maximum:g}'

    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value) or not minimum <= value <= maximum:
            raise argparse.ArgumentTypeError(f'{text!r} is not a number {span}')
        return value

    return parse


def positive_number(text: str) -> float:
    """The type of an argument: a finite number above 0."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise argparse.ArgumentTypeError(f'{text!r} is not a number above 0')
    return value


def key_value(text: str) -> str:
    """The type of an argument: ``KEY=VALUE``; the value is interpreted with the config."""
    key, sign, _ = text.partition('=')
    if not sign or not key.strip():
        raise argparse.ArgumentTypeError(f'{text!r} is not KEY=VALUE')
    return text


def fold(text: str) -> tuple[int, int]:
    """The type of an argument: ``i/k``, the i-th of k folds."""
    index, _, count = text.partition('/')
    if not (index.isdecimal() and count.isdecimal() and 1 <= int(index) <= int(count) >= 2):
        raise argparse.ArgumentTypeError(f'{text!r} is not i/k with i from 1 to k, such as 1/5')
    return int(index), int(count)
