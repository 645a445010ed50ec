"""How far people who judge pairs of videos agree, with one another and with a metric.

**With one another**: Krippendorff's α (Content Analysis, 2004, chapter 11) of votes as numbers: 1 for one system, −1
for the other, 0 for neither, with squared differences, so that a tie lies between two opposite votes. Which system is
called the first is chance, so what is expected by chance is that of the votes and their mirror image together. 1 is
agreement in everything, 0 what chance gives.

**With a metric**: the share of pairs in which the metric puts that video first which more voters put first. A pair
whose voters are divided evenly says nothing; one that the metric cannot tell apart counts half, as a coin would do.
Pairs of one storyboard share videos, so that they count for fewer than they are where they go together (design effect;
Kish, Survey Sampling, 1965), in Wilson's interval for a share (1927).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.reporting.bradley_terry import Choice

RESAMPLES = 2000
_SEED = 20253
_Z = 1.96  # standard errors in a 95 % interval


@dataclass(frozen=True)
class Judgement:
    """What one voter said of two systems' videos of a storyboard. preferred: "first", "second" or "tie"."""

    voter: str
    storyboard_id: str
    seed: int
    first: str
    second: str
    preferred: str

    @property
    def pair(self) -> tuple[str, int, str, str]:
        """What was judged, whichever of the two was on which side."""
        return self.storyboard_id, self.seed, *sorted((self.first, self.second))

    @property
    def value(self) -> int:
        """1 for the system whose name comes first in `pair`, −1 for the other, 0 for neither."""
        sign = {"first": 1, "second": -1, "tie": 0}[self.preferred]
        return sign if self.first <= self.second else -sign

    @property
    def choice(self) -> Choice:
        return Choice(self.first, self.second, self.preferred, self.storyboard_id)


@dataclass(frozen=True)
class Agreement:
    """How far voters agree. alpha: Krippendorff's, with its 95 % interval over pairs, None for fewer than two of them.

    pairs: those that two or more voters judged, by `votes` votes in all. same: share of two votes on a pair that are
    the same.
    """

    alpha: float
    low: float | None
    high: float | None
    same: float
    pairs: int
    votes: int


@dataclass(frozen=True)
class Accord:
    """How often a metric's order of two videos is that of voters: a share with its 95 % interval, over `pairs`."""

    share: float
    low: float
    high: float
    pairs: int


def between_voters(judgements: Sequence[Judgement]) -> Agreement | None:
    """Agreement on the pairs that two or more voters judged.

    None where there is no such pair, or where all votes are ties, which leaves nothing to agree on.
    """
    by_pair: dict[tuple, list[int]] = {}
    for one in judgements:
        by_pair.setdefault(one.pair, []).append(one.value)
    units = [np.array(values, dtype=float) for values in by_pair.values() if len(values) > 1]
    if not units:
        return None
    # Of every pair: votes, their squared differences as observed, squares as expected, and how many are the same
    rows = np.array([_unit(values) for values in units])
    alpha = float(_alpha(rows.sum(0)))
    if math.isnan(alpha):
        return None
    low = high = None
    if len(units) > 1:
        drawn = np.random.default_rng(_SEED).multinomial(len(units), np.full(len(units), 1 / len(units)), RESAMPLES)
        found = _alpha(drawn @ rows)
        low, high = map(float, np.nanquantile(found, (0.025, 0.975)))
    twos = sum(len(values) * (len(values) - 1) / 2 for values in units)
    return Agreement(alpha, low, high, float(rows[:, 3].sum() / twos), len(units), sum(map(len, units)))


def _unit(values: np.ndarray) -> tuple[float, float, float, float]:
    differences = (values[:, None] - values[None]) ** 2
    same = ((differences == 0).sum() - len(values)) / 2
    return len(values), differences.sum() / (len(values) - 1), (values**2).sum(), same


def _alpha(totals: np.ndarray) -> np.ndarray:
    """α of the totals (..., 4) of pairs; NaN where all votes are ties."""
    votes, observed, squares = totals[..., 0], totals[..., 1], totals[..., 2]
    # Of n votes and their mirror image the mean is 0: the mean squared difference of two is 4 Σx² / (2n − 1).
    expected = 4 * squares / (2 * votes - 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(expected > 0, 1 - observed / votes / expected, np.nan)


def with_metric(
    judgements: Sequence[Judgement], value_of: Callable[[str, str, int], float | None], direction: str
) -> Accord | None:
    """How often a metric orders two videos as voters do.

    value_of: a metric's value of a system's video of a storyboard and repetition, None where it has none. direction:
    "higher" or "lower" is better. None where no pair has both, an order of voters and values.
    """
    leaning: dict[tuple, int] = {}
    for one in judgements:
        leaning[one.pair] = leaning.get(one.pair, 0) + one.value
    sign = -1 if direction == "lower" else 1
    found: dict[str, list[float]] = {}
    for (board, seed, first, second), lean in leaning.items():
        values = value_of(first, board, seed), value_of(second, board, seed)
        if lean == 0 or None in values:
            continue
        order = sign * float(np.sign(values[0] - values[1])) * (1 if lean > 0 else -1)
        found.setdefault(board, []).append((1 + order) / 2)
    if not found:
        return None
    agreed = np.array([sum(one) for one in found.values()])
    pairs = np.array([len(one) for one in found.values()], dtype=float)
    share = float(agreed.sum() / pairs.sum())
    low, high = wilson(share, pairs.sum() / _design_effect(agreed, pairs, share))
    return Accord(share, low, high, int(pairs.sum()))


def _design_effect(agreed: np.ndarray, pairs: np.ndarray, share: float) -> float:
    """How much greater the variance of a share is than with independent pairs, from its groups; never below 1."""
    n, groups = pairs.sum(), len(pairs)
    if groups < 2 or not 0 < share < 1:
        return 1.0
    variance = groups / (groups - 1) * ((agreed - share * pairs) ** 2).sum() / n**2
    return max(1.0, float(variance / (share * (1 - share) / n)))


def wilson(share: float, n: float) -> tuple[float, float]:
    """Wilson's 95 % interval of a share of n, within 0 and 1."""
    middle = share + _Z**2 / (2 * n)
    half = _Z * math.sqrt(share * (1 - share) / n + _Z**2 / (4 * n**2))
    scale = 1 + _Z**2 / n
    return max(0.0, (middle - half) / scale), min(1.0, (middle + half) / scale)
