"""How a metric reacts to damage: rank correlation with its strength, detection, and what it should have ignored.

Values stand in arrays of (strengths + 1, scenes): row 0 of the undamaged scenes, then one row a strength, NaN where
there is none. Intervals are percentiles of a bootstrap over scenes, so a clean and a damaged version stay together.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from eval.calibration.damage import Damage
from eval.metric import Metric
from eval.trust import Estimate, Reaction

ROUNDS = 1000  # of the bootstrap


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
