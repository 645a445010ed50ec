"""Bradley–Terry: how strong systems are, from choices between two or more of them.

The probability that i is chosen from the systems S that are shown is s_i / Σ_{j in S} s_j: between two this is Bradley
and Terry's model (Biometrika 39, 1952), among more it is Luce's choice axiom (Individual Choice Behavior, 1959). A
choice among four is thus one choice and not three wins. Where none is better, each gets its share of the choice: half
between two. Strengths are fitted by minorisation (Hunter, Annals of Statistics 32, 2004).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

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

    @property
    def systems(self) -> tuple[str, ...]:
        return self.first, self.second

    @property
    def chosen(self) -> str | None:
        """The system that was preferred; None for neither."""
        return {"first": self.first, "second": self.second, "tie": None}[self.preferred]


@dataclass(frozen=True)
class Pick:
    """One choice among the videos of any number of systems. chosen: None where none is better than the others."""

    systems: tuple[str, ...]
    chosen: str | None
    storyboard_id: str


@dataclass(frozen=True)
class Strength:
    """A system's place.

    score: logarithm of its strength, the mean over systems being 0; a difference of 1 is chosen in 73 % of cases.
    low, high: 95 % interval over storyboards, None for fewer than two. won: share of its `votes` votes, one without a
    winner counting in equal parts for all that were shown.
    """

    system: str
    score: float
    low: float | None
    high: float | None
    won: float
    votes: int


def strengths(choices: Sequence[Choice | Pick]) -> list[Strength]:
    """Every system that was judged, strongest first.

    One tie is added to each two systems that were compared, so that a system that won every time has a finite score.
    Raises ValueError, naming the groups, if the systems fall into groups that were never compared with one another.
    """
    names = sorted({name for choice in choices for name in choice.systems})
    if not names:
        return []
    groups = groups_of(choices)
    if len(groups) > 1:
        listed = "; ".join(map(", ".join, groups))
        raise ValueError(f"systems of different groups were never compared, so they have no common scale: {listed}")
    where = {name: i for i, name in enumerate(names)}
    boards = {id: i for i, id in enumerate(sorted({choice.storyboard_id for choice in choices}))}
    shown = {systems: i for i, systems in enumerate(sorted({tuple(sorted(choice.systems)) for choice in choices}))}
    asked, won = np.zeros((len(boards), len(shown))), np.zeros((len(boards), len(names)))
    votes = np.zeros(len(names))
    for choice in choices:
        board, inside = boards[choice.storyboard_id], [where[name] for name in choice.systems]
        asked[board, shown[tuple(sorted(choice.systems))]] += 1
        votes[inside] += 1
        if choice.chosen is None:
            won[board, inside] += 1 / len(inside)
        else:
            won[board, where[choice.chosen]] += 1
    pairs = sorted({pair for systems in shown for pair in combinations(systems, 2)})
    member = np.zeros((len(shown) + len(pairs), len(names)))
    for row, systems in enumerate((*shown, *pairs)):
        member[row, [where[name] for name in systems]] = 1

    def fit(asked: np.ndarray, won: np.ndarray) -> np.ndarray:
        """Scores (b, k) with the ties that are added, of sets (b, m) that were shown and wins (b, k)."""
        with_ties = np.concatenate([asked, np.ones((len(asked), len(pairs)))], axis=1)
        return _fit(member, with_ties, won + member[len(shown) :].sum(0) / 2)

    score = fit(asked.sum(0, keepdims=True), won.sum(0, keepdims=True))[0]
    low = high = [None] * len(names)
    if len(boards) > 1:
        drawn = np.random.default_rng(_SEED).multinomial(len(boards), np.full(len(boards), 1 / len(boards)), RESAMPLES)
        low, high = np.quantile(fit(drawn @ asked, drawn @ won), (0.025, 0.975), axis=0).tolist()
    share = won.sum(0) / votes
    found = [
        Strength(name, float(score[i]), low[i], high[i], float(share[i]), int(votes[i])) for i, name in enumerate(names)
    ]
    return sorted(found, key=lambda one: (-one.score, one.system))


def groups_of(choices: Sequence[Choice | Pick]) -> list[tuple[str, ...]]:
    """The systems that comparisons connect, as groups, each in the order of names."""
    names = sorted({name for choice in choices for name in choice.systems})
    group = {name: name for name in names}

    def root(name: str) -> str:
        while group[name] != name:
            group[name] = name = group[group[name]]
        return name

    for systems in {choice.systems for choice in choices}:
        for name in systems[1:]:
            one, other = sorted((root(systems[0]), root(name)))
            group[other] = one
    found: dict[str, list[str]] = {}
    for name in names:
        found.setdefault(root(name), []).append(name)
    return [tuple(members) for members in found.values()]


def strengths_by_group(choices: Sequence[Choice | Pick]) -> list[list[Strength]]:
    """The strengths of each group of systems that were compared with one another, the most judged group first."""
    found = []
    for group in groups_of(choices):
        found.append(strengths([choice for choice in choices if choice.systems[0] in group]))
    return sorted(found, key=lambda group: -sum(one.votes for one in group))


def _fit(member: np.ndarray, asked: np.ndarray, won: np.ndarray) -> np.ndarray:
    """Scores (b, k) from sets of systems `member` (m, k), how often each was shown (b, m), and wins (b, k)."""
    strength = np.ones_like(won)
    for _ in range(_ITERATIONS):
        strength = won / ((asked / (strength @ member.T)) @ member)
        strength /= np.exp(np.log(strength).mean(1, keepdims=True))
    return np.log(strength)
