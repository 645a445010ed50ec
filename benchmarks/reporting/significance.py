"""How sure a number is: standard errors and paired comparisons over storyboards, for any metric made of sums.

A row is one storyboard, a column one sum or count of a metric, and `derive` turns the columns' totals into the value.
Storyboards are the units that vary: repetitions of one storyboard are added up before, as they are not independent.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from eval.metric import Parts, mean

Derive = Callable[[Parts], float | None]
RESAMPLES = 4000
MIN_PAIRS = 6  # with 5, even the same sign in every pair is not significant at 5 % (two-sided sign test)
_SEED = 20251


@dataclass(frozen=True)
class Comparison:
    """A system against the baseline over `pairs` storyboards that both have.

    difference: system minus baseline, both over those storyboards alone. low, high: 95 % interval. p: two-sided;
    holm: p after Holm's correction for all systems that are compared on this metric.
    """

    difference: float
    low: float
    high: float
    p: float
    pairs: int
    holm: float | None = None


def values_of(derive: Derive, names: Sequence[str], totals: np.ndarray) -> np.ndarray:
    """Values (k,) of totals (k, len(names)); NaN where the value is None."""
    if derive is mean and set(names) == {"sum", "count"}:  # most metrics, and a thousand times faster
        sums, counts = (totals[:, list(names).index(name)] for name in ("sum", "count"))
        return np.divide(sums, counts, out=np.full(len(totals), np.nan), where=counts != 0)
    different, where = np.unique(totals, axis=0, return_inverse=True)  # counts repeat, and each call is slow
    found = (derive(dict(zip(names, row, strict=True))) for row in different.tolist())
    return np.array([np.nan if value is None else value for value in found], dtype=float)[where.reshape(-1)]


def standard_error(derive: Derive, names: Sequence[str], parts: np.ndarray) -> float | None:
    """Jackknife standard error over the rows of `parts` (n, len(names)).

    For a mean of as many things in every row it is the usual deviation over √n. None for fewer than two rows, or where
    a value without one of them does not exist. (Efron and Stein, The jackknife estimate of variance, 1981.)
    """
    n = len(parts)
    if n < 2:
        return None
    without = values_of(derive, names, parts.sum(0) - parts)
    if np.isnan(without).any():
        return None
    return float(np.sqrt((n - 1) / n * ((without - without.mean()) ** 2).sum()))


def compare(derive: Derive, names: Sequence[str], ours: np.ndarray, baseline: np.ndarray) -> Comparison | None:
    """Paired bootstrap of the difference of two values over the same storyboards, rows (n, len(names)) of each.

    Storyboards are drawn with replacement, the same for both sides. p is the share of differences that lie as far from
    the observed one as that lies from zero (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, section
    16.4), never below 1 / (RESAMPLES + 1). None for fewer than MIN_PAIRS, or where a value does not exist.
    """
    n = len(ours)
    if n < MIN_PAIRS:
        return None
    weights = _weights(n)
    observed = values_of(derive, names, np.stack([ours.sum(0), baseline.sum(0)]))
    difference = float(observed[0] - observed[1])
    drawn = values_of(derive, names, weights @ ours) - values_of(derive, names, weights @ baseline)
    drawn = drawn[~np.isnan(drawn)]
    if np.isnan(difference) or not len(drawn):
        return None
    low, high = np.quantile(drawn, (0.025, 0.975))
    slack = 1e-12 * max(1.0, abs(difference))  # sums of other draws round differently
    beyond = int((np.abs(drawn - difference) >= abs(difference) - slack).sum())
    return Comparison(difference, float(low), float(high), (1 + beyond) / (1 + len(drawn)), n)


def holm(p: Sequence[float]) -> list[float]:
    """Holm's step-down correction of p-values that are looked at together, in the order given."""
    order = np.argsort(p)
    corrected, highest = [0.0] * len(p), 0.0
    for rank, index in enumerate(order):
        highest = max(highest, min(1.0, (len(p) - rank) * p[index]))
        corrected[index] = highest
    return corrected


@lru_cache(maxsize=8)
def _weights(n: int) -> np.ndarray:
    """How often each of n storyboards is drawn, (RESAMPLES, n); fixed, so that reports repeat."""
    drawn = np.random.default_rng((_SEED, n)).integers(n, size=(RESAMPLES, n)) + n * np.arange(RESAMPLES)[:, None]
    return np.bincount(drawn.ravel(), minlength=RESAMPLES * n).reshape(RESAMPLES, n).astype(float)
