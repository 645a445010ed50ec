"""How a metric reacts to damage: rank correlation with its strength, detection, and what it should have ignored.

Values stand in arrays of (strengths + 1, scenes): row 0 of the undamaged scenes, then one row a strength, NaN where
there is none. Intervals are percentiles of a bootstrap over scenes, so a clean and a damaged version stay together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from eval.calibration.damage import Damage
from eval.metric import Metric

ROUNDS = 1000  # of the bootstrap
NOTICED = 0.6  # AUC from which a reaction counts, if its interval excludes chance
RELIABLE = 0.9  # AUC at which single videos can be told apart
CHANCE = 0.5


@dataclass(frozen=True)
class Estimate:
    """A value with its 95 % interval."""

    value: float
    low: float
    high: float

    @property
    def noticed(self) -> bool:
        """Worse than chance alone makes it, and by enough to matter."""
        return self.value >= NOTICED and self.low > CHANCE

    @property
    def reversed(self) -> bool:
        """The same, for scores that get better."""
        return self.value <= 1 - NOTICED and self.high < CHANCE


@dataclass(frozen=True)
class Reaction:
    """How one metric reacts to one damage.

    wanted: True if the metric is for this, False if it should ignore it, None if either is fine. scenes: how many could
    be compared. spearman: mean over scenes of the rank correlation between strength and how bad the score is. auc: by
    strength, how likely a damaged video scores worse than an undamaged one, of whatever scene. paired: the same against
    the undamaged version of the same scene.
    """

    metric: str
    damage: str
    wanted: bool | None
    scenes: int
    strengths: tuple[float, ...]
    spearman: Estimate
    auc: tuple[Estimate, ...]
    paired: tuple[Estimate, ...]

    def detected_from(self, on: Literal["auc", "paired"] = "auc", least: float = NOTICED) -> float | None:
        """The least strength from which on the damage is noticed at every strength, with at least that AUC."""
        found = None
        for strength, estimate in zip(reversed(self.strengths), reversed(getattr(self, on)), strict=True):
            if not (estimate.noticed and estimate.value >= least):
                break
            found = strength
        return found

    @property
    def verdict(self) -> str:
        """What there is to say of it, in a few words."""
        strongest = self.auc[-1]
        if self.wanted is False:
            worst = max(self.auc, key=lambda estimate: abs(estimate.value - CHANCE))
            if any(estimate.noticed for estimate in self.auc):
                return f"reacts to what it should ignore (AUC {worst.value:.2f})"
            if any(estimate.reversed for estimate in self.auc):
                return f"gets better from what it should ignore (AUC {worst.value:.2f})"
            return "ignores it, as it should"
        if strongest.noticed:
            return "reacts" if strongest.value >= RELIABLE else "reacts weakly"
        if strongest.reversed:
            return "gets better where it should get worse"
        if self.paired[-1].noticed:
            return "reacts only against the same scene undamaged"
        return "does not react"

    @property
    def unwanted(self) -> bool:
        return self.wanted is False and any(estimate.noticed or estimate.reversed for estimate in self.auc)

    @property
    def failed(self) -> bool:
        """The metric is for this damage and does not notice it at its strongest."""
        return self.wanted is True and not self.auc[-1].noticed


def badness(metric: Metric, values: np.ndarray) -> np.ndarray:
    """Values turned so that more is worse; a metric without a direction is taken to fall."""
    return values if metric.direction == "lower" else -values


def react(metric: Metric, name: str, damage: Damage, values: np.ndarray, seed: int = 0) -> Reaction | None:
    """Measure how a metric, reported as `name`, reacts to a damage, from values (strengths + 1, scenes).

    Strengths without a scene to compare are left out; None if none is left.
    """
    bad = badness(metric, np.asarray(values, np.float64))
    rows = [k for k in range(1, len(bad)) if (np.isfinite(bad[k]) & np.isfinite(bad[0])).sum() >= 2]
    if not rows:
        return None
    rng = np.random.default_rng(seed)
    weights = rng.multinomial(bad.shape[1], np.full(bad.shape[1], 1 / bad.shape[1]), size=ROUNDS).astype(np.float64)
    present = [np.isfinite(bad[k]) & np.isfinite(bad[0]) for k in rows]
    strengths = np.array([0.0, *(damage.strengths[k - 1] for k in rows)])
    return Reaction(
        metric=name,
        damage=damage.name,
        wanted=True if name in damage.moves else False if name in damage.keeps else None,
        scenes=int(max(there.sum() for there in present)),
        strengths=tuple(float(s) for s in strengths[1:]),
        spearman=_mean_over_scenes(_rank_correlations(strengths, bad[[0, *rows]]), weights),
        auc=tuple(_auc(bad[k], bad[0], there, weights) for k, there in zip(rows, present, strict=True)),
        paired=tuple(
            _mean_over_scenes(np.where(there, _wins(bad[k], bad[0]), np.nan), weights)
            for k, there in zip(rows, present, strict=True)
        ),
    )


def _wins(damaged: np.ndarray, clean: np.ndarray) -> np.ndarray:
    """1 where damaged is worse, 0 where it is better, one half where they are equal."""
    return (damaged > clean) + 0.5 * (damaged == clean)


def _auc(damaged: np.ndarray, clean: np.ndarray, there: np.ndarray, weights: np.ndarray) -> Estimate:
    damaged, clean, weights = damaged[there], clean[there], weights[:, there]
    wins = _wins(damaged[:, None], clean[None])
    total = weights.sum(1)
    drawn = np.einsum("bi,ij,bj->b", weights, wins, weights)[total > 0] / total[total > 0] ** 2
    return Estimate(float(wins.mean()), *_interval(drawn))


def _mean_over_scenes(values: np.ndarray, weights: np.ndarray) -> Estimate:
    there = np.isfinite(values)
    total = weights[:, there].sum(1)
    drawn = (weights[:, there] @ values[there])[total > 0] / total[total > 0]
    return Estimate(float(values[there].mean()), *_interval(drawn))


def _interval(drawn: np.ndarray) -> tuple[float, float]:
    low, high = np.quantile(drawn, (0.025, 0.975))
    return float(low), float(high)


def _rank_correlations(strengths: np.ndarray, bad: np.ndarray) -> np.ndarray:
    """Spearman's correlation of every scene (scenes,); 0 where the score does not change, NaN with too few values."""
    found = np.full(bad.shape[1], np.nan)
    for scene, column in enumerate(bad.T):
        there = np.isfinite(column)
        if there.sum() >= 2 and there[0]:
            found[scene] = _correlation(_ranks(strengths[there]), _ranks(column[there]))
    return found


def _ranks(values: np.ndarray) -> np.ndarray:
    """Ranks with ties at their mean."""
    _, which, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[which]


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    a, b = a - a.mean(), b - b.mean()
    size = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / size if size else 0.0


def reactions(
    metrics: Mapping[str, Metric], damages: tuple[Damage, ...], values: Mapping[tuple[str, str], np.ndarray]
) -> list[Reaction]:
    """Every metric against every damage, from values by (name of the metric, name of the damage)."""
    found = []
    for damage in damages:
        for name, metric in metrics.items():
            if (name, damage.name) in values:
                reaction = react(metric, name, damage, values[name, damage.name])
                found += [reaction] if reaction else []
    return found
