"""Bradley–Terry: how strong systems are, from choices between two of them.

The probability that i is preferred to j is s_i / (s_i + s_j) (Bradley and Terry, Biometrika 39, 1952); a tie is half a
choice for each. Strengths are fitted by minorisation (Hunter, Annals of Statistics 32, 2004).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

RESAMPLES = 1000
_ITERATIONS = 300
_SEED = 20252


@dataclass(frozen=True)
class Choice:
    """One judgement of two videos of a storyboard. preferred: "first", "second" or "tie"."""

    first: str
    second: str
    preferred: str
    storyboard_id: str


@dataclass(frozen=True)
class Strength:
    """A system's place.

    score: logarithm of its strength, the mean over systems being 0; a difference of 1 is chosen in 73 % of cases.
    low, high: 95 % interval over storyboards, None for fewer than two. won: share of its `votes` votes, ties half.
    """

    system: str
    score: float
    low: float | None
    high: float | None
    won: float
    votes: int


def strengths(choices: Sequence[Choice]) -> list[Strength]:
    """Every system that was judged, strongest first.

    One tie is added to each two systems that were compared, so that a system that won every time has a finite score.
    Raises ValueError, naming the groups, if the systems fall into groups that were never compared with one another.
    """
    names = sorted({name for choice in choices for name in (choice.first, choice.second)})
    if not names:
        return []
    where = {name: i for i, name in enumerate(names)}
    boards = {id: i for i, id in enumerate(sorted({choice.storyboard_id for choice in choices}))}
    wins = np.zeros((len(boards), len(names), len(names)))
    for choice in choices:
        i, j = where[choice.first], where[choice.second]
        won = {"first": 1.0, "second": 0.0, "tie": 0.5}[choice.preferred]
        wins[boards[choice.storyboard_id], i, j] += won
        wins[boards[choice.storyboard_id], j, i] += 1 - won
    total = wins.sum(0)
    groups = _groups(total + total.T > 0)
    if len(groups) > 1:
        listed = "; ".join(", ".join(names[i] for i in group) for group in groups)
        raise ValueError(f"systems of different groups were never compared, so they have no common scale: {listed}")
    prior = 0.5 * (total + total.T > 0)
    score = _fit(total[None] + prior)[0]
    low = high = [None] * len(names)
    if len(boards) > 1:
        drawn = np.random.default_rng(_SEED).multinomial(len(boards), np.full(len(boards), 1 / len(boards)), RESAMPLES)
        fitted = _fit(np.tensordot(drawn.astype(float), wins, 1) + prior)
        low, high = np.quantile(fitted, (0.025, 0.975), axis=0).tolist()
    votes = (total + total.T).sum(1)
    found = [
        Strength(name, float(score[i]), low[i], high[i], float(total[i].sum() / votes[i]), round(votes[i]))
        for i, name in enumerate(names)
    ]
    return sorted(found, key=lambda one: (-one.score, one.system))


def _fit(wins: np.ndarray) -> np.ndarray:
    """Scores (b, k) of wins (b, k, k): how often the row was preferred to the column."""
    games = wins + wins.transpose(0, 2, 1)
    won = wins.sum(2)
    strength = np.ones_like(won)
    for _ in range(_ITERATIONS):
        strength = won / (games / (strength[:, :, None] + strength[:, None, :])).sum(2)
        strength /= np.exp(np.log(strength).mean(1, keepdims=True))
    return np.log(strength)


def _groups(compared: np.ndarray) -> list[list[int]]:
    """The systems that are connected by comparisons, as groups."""
    left, groups = set(range(len(compared))), []
    while left:
        group, edge = set(), {min(left)}
        while edge:
            group |= edge
            edge = {int(j) for i in edge for j in np.flatnonzero(compared[i])} - group
        groups.append(sorted(group))
        left -= group
    return groups
