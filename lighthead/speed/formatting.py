"""How figures are written in tables and pictures."""

PANELS = (
    # phase, field, unit
    ('batched', 'batches_per_s', 'batches/s'),
    ('single', 'images_per_s', 'images/s, one thread'),
)
"""The two phases of :mod:`lighthead.speed.phases`."""


def number(value: float | None, digits: int = 1) -> str:
    """The number as text, with two significant digits or more; '-' for none."""
    if value is None:
        return '-'
    if digits and 0 < abs(value) < 1:
        return f'{value:.2g}'
    return f'{value:.0f}' if abs(value) >= 100 else f'{value:.{digits}f}'


def speed(row: dict | None, field: str) -> str:
    """A speed as text, marked with ~ where its spread is too wide."""
    if row is None:
        return '-'
    return ('~' if row['wide_spread'] else '') + number(row[field])


def phase_title(rows: list[dict]) -> str:
    """The condition that the rows were measured in."""
    row = rows[0]
    where = 'GPU' if row['device'] == 'cuda' else f'CPU, {row["threads"]} thread(s)'
    return f'{where}, batch {row["batch"]}'
