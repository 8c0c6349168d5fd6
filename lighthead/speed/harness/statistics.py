"""Verdicts and rank correlation of timings, from scipy's bootstrap and Spearman's rho."""

from collections.abc import Sequence

import numpy as np
from scipy import stats

FEWEST_ROUNDS = 5
"""With fewer rounds an interval says nothing: the verdict is 'too noisy to tell'."""


def median_interval(values: Sequence[float], seed: int = 0) -> tuple[float, float]:
    """Bootstrap 95 % interval of the median of two or more values (one per round)."""
    result = stats.bootstrap(
        (values,), np.median, n_resamples=2000, method='percentile', random_state=seed
    )
    return float(result.confidence_interval.low), float(result.confidence_interval.high)


def verdict(ratios: Sequence[float], seed: int = 0) -> dict:
    """Judge whether a speed ratio lies above 1, from the ratio in each round.

    Returns:
        ``verdict``, the median ``ratio``, ``low`` and ``high`` of its 95 % interval, and the
        number of ``rounds``.
    """
    middle = float(np.median(ratios))
    low, high = median_interval(ratios, seed) if len(ratios) > 1 else (middle, middle)
    if len(ratios) < FEWEST_ROUNDS or low <= 1 <= high:
        word = 'too noisy to tell'
    else:
        word = 'holds here' if low > 1 else 'does not hold here'
    return {'verdict': word, 'ratio': middle, 'low': low, 'high': high, 'rounds': len(ratios)}


def rank_correlation(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Spearman's rank correlation; None with fewer than three pairs or a constant column."""
    if len(first) < 3 or len(set(first)) == 1 or len(set(second)) == 1:
        return None
    return float(stats.spearmanr(first, second).statistic)
