"""How sure a number is: standard errors and paired comparisons over storyboards, for any metric made of sums.

A row is one storyboard, a column one sum or count of a metric, and `derive` turns the columns' totals into the value.
Storyboards are the units that vary: repetitions of one storyboard are added up before, as they are not independent.

Of fewer than BOOTSTRAPPED storyboards a bootstrap finds too much: where nothing differs, 14 % of normal differences of
6 storyboards were significant at 5 %, and 20 % of exponential ones; docs/baselines.md has the table. There the test
swaps the two systems within storyboards instead, as it may where both are alike, which makes it exact (Fisher, The
Design of Experiments, 1935, section 21), and intervals are of Student's t.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from eval.metric import Parts, mean

Derive = Callable[[Parts], float | None]
RESAMPLES = 4000
LEVEL = 0.05  # of significance
MIN_PAIRS = 6  # with 5, even the same sign in every pair is not significant at 5 % (two-sided sign test)
_SEED = 20251
BOOTSTRAPPED = 50  # storyboards from which a bootstrap keeps to its level
_EXACT = 13  # storyboards of which all swaps are tried, 4,096 that differ in more than sign


@dataclass(frozen=True)
class Comparison:
    """A system against the baseline over `pairs` storyboards that both have.

    difference: system minus baseline, both over those storyboards alone. low, high: 95 % interval, None where a value
    without one of the storyboards does not exist. p: two-sided; holm: p after Holm's correction for all systems that
    are compared on this metric.
    """

    difference: float
    low: float | None
    high: float | None
    p: float
    pairs: int
    holm: float | None = None

    def is_decidable(self, comparisons: int = 1) -> bool:
        """Whether any difference of so many storyboards could be significant as one of so many comparisons."""
        return comparisons * least_p(self.pairs) < LEVEL


@dataclass(frozen=True)
class Pairing:
    """Two systems on the `pairs` storyboards that both have.

    comparison: None where there are too few. always: 1 if the first has the greater value on every one of them, -1 if
    the smaller, else 0.
    """

    comparison: Comparison | None
    always: int
    pairs: int


def least_p(pairs: int) -> float:
    """The smallest p that the test of so many storyboards can have, which is that of all differences of one sign."""
    return 2.0 ** (1 - pairs) if pairs <= _EXACT else 1 / (RESAMPLES + 1)


def storyboards_needed(comparisons: int) -> int:
    """How many storyboards it takes for any of so many comparisons to be significant after Holm's correction."""
    return next(n for n in range(MIN_PAIRS, _EXACT + 2) if comparisons * least_p(n) < LEVEL or n > _EXACT)


def in_words(storyboards: Sequence[int]) -> str:
    """What `compare` does with these numbers of storyboards."""
    few = [n < BOOTSTRAPPED for n in storyboards]
    if few and all(few):
        return "paired permutation test"
    return f"paired {f'permutation test or, from {BOOTSTRAPPED} storyboards on, ' if any(few) else ''}bootstrap"


def interval(
    value: float,
    error: float | None,
    storyboards: int,
    limits: tuple[float | None, float | None] = (None, None),
) -> tuple[float, float] | None:
    """The 95 % interval of a value with a standard error over so many storyboards, within the limits of its metric;
    None without an error. It is of Student's t, which is wide where storyboards are few.

    With both limits the interval is symmetric in the logit of where between them the value lies, with one in the
    logarithm of the distance from it, so that it never leaves them and is the wider on the side with more room (delta
    method; Agresti, Categorical Data Analysis, section 3.1). A value at a limit has the interval of its mere error, cut
    off there.
    """
    if error is None:
        return None
    error = _t(storyboards - 1) * error
    low, high = limits
    below = math.inf if low is None else value - low
    above = math.inf if high is None else high - value
    if error == 0 or min(below, above) <= 0 or below == above == math.inf:
        ends = value - error, value + error
        return max(ends[0], -math.inf if low is None else low), min(ends[1], math.inf if high is None else high)
    if above == math.inf:
        factor = math.exp(min(500.0, error / below))
        return low + below / factor, low + below * factor
    if below == math.inf:
        factor = math.exp(min(500.0, error / above))
        return high - above * factor, high - above / factor
    odds, factor = below / above, math.exp(min(500.0, error * (1 / below + 1 / above)))
    ends = (odds / factor, odds * factor)
    return tuple(low + (high - low) * one / (1 + one) for one in ends)


def values_of(derive: Derive, names: Sequence[str], totals: np.ndarray) -> np.ndarray:
    """Values (k,) of totals (k, len(names)); NaN where the value is None."""
    if derive is mean and set(names) == {"sum", "count"}:  # most metrics, and a thousand times faster
        sums, counts = (totals[:, list(names).index(name)] for name in ("sum", "count"))
        return np.divide(sums, counts, out=np.full(len(totals), np.nan), where=counts != 0)
    # Counts repeat, and each call is slow. Rows that are the same have the same product, which sorts far faster.
    product = totals @ np.random.default_rng(_SEED).random(totals.shape[1])
    _, first, where = np.unique(product, return_index=True, return_inverse=True)
    different = totals[first]
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
    return _jackknife(values_of(derive, names, parts.sum(0) - parts))


def _jackknife(without: np.ndarray) -> float | None:
    """Standard error of a value of which there are n values (n,), each without one of n rows."""
    n = len(without)
    if np.isnan(without).any():
        return None
    return float(np.sqrt((n - 1) / n * ((without - without.mean()) ** 2).sum()))


def compare(derive: Derive, names: Sequence[str], ours: np.ndarray, baseline: np.ndarray) -> Comparison | None:
    """Test the difference of two values over the same storyboards, rows (n, len(names)) of each.

    Below BOOTSTRAPPED storyboards p is the share of swaps, all or RESAMPLES drawn ones, whose difference is as great as
    the observed one, and the interval that of Student's t with a jackknife's error. From there on storyboards are drawn
    with replacement, the same for both sides, and p is the share of differences that lie as far from the observed one
    as that lies from zero (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, section 16.4). p is never
    below `least_p`. None for fewer than MIN_PAIRS, or where a value does not exist.
    """
    n = len(ours)
    if n < MIN_PAIRS:
        return None
    observed = values_of(derive, names, np.stack([ours.sum(0), baseline.sum(0)]))
    difference = float(observed[0] - observed[1])
    if np.isnan(difference):
        return None
    is_bootstrap, is_exact = n >= BOOTSTRAPPED, n <= _EXACT
    if is_bootstrap:
        drawn = _drawn(derive, names, ours) - _drawn(derive, names, baseline)
        distance = np.abs(drawn - difference)
    else:
        moved = _swaps(n) @ (baseline - ours)
        drawn = values_of(derive, names, ours.sum(0) + moved) - values_of(derive, names, baseline.sum(0) - moved)
        distance = np.abs(drawn)
    there = ~np.isnan(drawn)
    if not there.any():
        return None
    slack = 1e-12 * max(1.0, abs(difference), float(np.abs(observed).max()))  # sums of other draws round differently
    beyond, tried = int((distance[there] >= abs(difference) - slack).sum()), int(there.sum())
    p = beyond / tried if is_exact and not is_bootstrap else (1 + beyond) / (1 + tried)
    if is_bootstrap:
        low, high = map(float, np.quantile(drawn[there], (0.025, 0.975)))
    else:
        low, high = _t_interval(derive, names, ours, baseline, difference)
    return Comparison(difference, low, high, p, n)


def _t_interval(
    derive: Derive, names: Sequence[str], ours: np.ndarray, baseline: np.ndarray, difference: float
) -> tuple[float | None, float | None]:
    without = [values_of(derive, names, side.sum(0) - side) for side in (ours, baseline)]
    error = _jackknife(without[0] - without[1])
    return (None, None) if error is None else interval(difference, error, len(ours))


def pair(derive: Derive, names: Sequence[str], ours: np.ndarray, theirs: np.ndarray) -> Pairing:
    """Two systems over the same storyboards, rows (n, len(names)) of each; `always` is 0 if a value does not exist."""
    differences = values_of(derive, names, ours) - values_of(derive, names, theirs)
    slack = 1e-9 * max(1.0, float(np.abs(differences).max(initial=0.0)))
    always = int((differences > slack).all()) - int((differences < -slack).all()) if len(differences) else 0
    return Pairing(compare(derive, names, ours, theirs), always, len(ours))


def holm(p: Sequence[float]) -> list[float]:
    """Holm's step-down correction of p-values that are looked at together, in the order given."""
    order = np.argsort(p)
    corrected, highest = [0.0] * len(p), 0.0
    for rank, index in enumerate(order):
        highest = max(highest, min(1.0, (len(p) - rank) * p[index]))
        corrected[index] = highest
    return corrected


def _drawn(derive: Derive, names: Sequence[str], rows: np.ndarray) -> np.ndarray:
    """The values of RESAMPLES draws of the rows; a system is compared with many others over the same storyboards."""
    rows = np.ascontiguousarray(rows, dtype=float)
    return _drawn_values(derive, tuple(names), rows.tobytes(), len(rows))


@lru_cache(maxsize=64)
def _drawn_values(derive: Derive, names: tuple[str, ...], rows: bytes, n: int) -> np.ndarray:
    return values_of(derive, names, _draws(n).astype(float) @ np.frombuffer(rows).reshape(n, len(names)))


@lru_cache(maxsize=64)  # tags have storyboards of many numbers
def _draws(n: int) -> np.ndarray:
    """How often each of n storyboards is drawn, (RESAMPLES, n); fixed, so that reports repeat."""
    drawn = np.random.default_rng((_SEED, n)).integers(n, size=(RESAMPLES, n)) + n * np.arange(RESAMPLES)[:, None]
    counts = np.bincount(drawn.ravel(), minlength=RESAMPLES * n).reshape(RESAMPLES, n)
    return counts.astype(np.uint8)  # nothing is drawn 256 times


@lru_cache(maxsize=64)
def _swaps(n: int) -> np.ndarray:
    """In which of n storyboards two systems are swapped, 0 or 1, (swaps, n): all that differ in more than the sign of
    the difference, the first of which swaps nothing, or RESAMPLES drawn ones; fixed, so that reports repeat.
    """
    if n <= _EXACT:
        return (np.arange(2 ** (n - 1))[:, None] >> np.arange(n) & 1).astype(float)
    return np.random.default_rng((_SEED, n)).integers(2, size=(RESAMPLES, n)).astype(float)


@lru_cache(maxsize=256)
def _t(degrees: int) -> float:
    """The standard errors on each side of a 95 % interval."""
    from scipy.special import stdtrit

    return float(stdtrit(degrees, 0.975))
