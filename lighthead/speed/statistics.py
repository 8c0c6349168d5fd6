"""Medians, spreads, bootstrap intervals and rank correlation of timings."""

from collections.abc import Sequence

import numpy as np

WIDE_SPREAD = 0.25
"""A spread (p90 - p10) / median above this is reported as too wide."""


def bootstrap_interval(
    values: Sequence[float], level: float = 0.95, draws: int = 2000, seed: int = 0
) -> tuple[float, float]:
    """Bootstrap interval of the median of ``values`` (one per round)."""
    values = np.asarray(values, dtype=float)
    rng = np.random.default_rng(seed)
    picks = rng.integers(0, len(values), size=(draws, len(values)))
    medians = np.median(values[picks], axis=1)
    tail = (1 - level) / 2
    low, high = np.quantile(medians, (tail, 1 - tail))
    return float(low), float(high)


FEWEST_ROUNDS = 5
"""With fewer rounds an interval says nothing: the verdict is 'too noisy to tell'."""


def verdict(ratios: Sequence[float], seed: int = 0) -> tuple[str, float, float, float]:
    """Judge whether a speed ratio lies above 1.

    Args:
        ratios: The ratio in each round; both competitors ran in every round.
        seed: Of the bootstrap.

    Returns:
        The verdict, the median ratio, and the ends of its 95 % interval.
    """
    low, high = bootstrap_interval(ratios, seed=seed)
    middle = float(np.median(np.asarray(ratios, dtype=float)))
    if len(ratios) < FEWEST_ROUNDS or low <= 1 <= high:
        return 'too noisy to tell', middle, low, high
    return ('holds here' if low > 1 else 'does not hold here'), middle, low, high


def rank_correlation(ours: Sequence[float], theirs: Sequence[float]) -> float | None:
    """Spearman's rank correlation; None with fewer than three pairs or a constant column."""
    if len(ours) < 3:
        return None
    a, b = _ranks(ours), _ranks(theirs)
    if a.std() == 0 or b.std() == 0:
        return None
    return float(np.corrcoef(a, b)[0, 1])


def _ranks(values: Sequence[float]) -> np.ndarray:
    """Ranks from 0, ties sharing their mean rank."""
    values = np.asarray(values, dtype=float)
    below = (values[None, :] < values[:, None]).sum(axis=1)
    equal = (values[None, :] == values[:, None]).sum(axis=1)
    return below + (equal - 1) / 2
