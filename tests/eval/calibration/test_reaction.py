from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from eval.calibration.damage import DAMAGES
from eval.calibration.reaction import react
from eval.metrics import all_metrics
from eval.trust import Reaction

METRICS = all_metrics()
BLUR = next(damage for damage in DAMAGES if damage.name == "blur")  # sharpness is for it, sca should ignore it
SCENES = 30


def values(effects, spread: float = 1.0, noise: float = 0.0, seed: int = 0) -> np.ndarray:
    """Clean values of spread-out scenes, then a row a strength with an effect added."""
    rng = np.random.default_rng(seed)
    clean = rng.normal(0, spread, SCENES)
    return np.stack([clean, *(clean + effect + rng.normal(0, noise, SCENES) for effect in effects)])


def reaction(effects, metric: str = "sharpness", **kwargs) -> Reaction:
    return react(METRICS[metric], metric, BLUR, values(effects, **kwargs))


def test_a_score_that_falls_with_strength_reacts() -> None:
    found = reaction((-2, -4, -8, -16), noise=0.1)
    assert found.wanted
    assert found.verdict == "reacts"
    assert found.spearman.value == pytest.approx(1)
    assert [e.value for e in found.auc] == sorted(e.value for e in found.auc)
    assert found.auc[-1].value == pytest.approx(1)
    assert found.detected_from() == 0.5
    assert not found.failed


def test_lower_is_better_is_turned_around() -> None:
    assert reaction((2, 4, 8, 16), "clipping").auc[-1].value == pytest.approx(1)
    assert reaction((-2, -4, -8, -16), "clipping").auc[-1].value == pytest.approx(0)


def test_auc_is_how_often_a_damaged_video_scores_worse_ties_half() -> None:
    found = react(METRICS["sharpness"], "sharpness", BLUR, np.array([[1.0, 2, 3], [0, 2, 5]]))
    assert found.auc[0].value == pytest.approx((3 + 1.5 + 0) / 9)
    assert found.strengths == (0.5,)


def test_a_score_that_stays_does_not_react_and_has_no_interval() -> None:
    found = reaction((0, 0, 0, 0))
    assert found.failed
    assert found.verdict == "does not react"
    assert (found.auc[0].low, found.auc[0].high) == pytest.approx((0.5, 0.5), abs=0.2)
    assert found.spearman.value == 0
    assert found.detected_from() is None


def test_a_score_that_falls_less_than_scenes_differ_reacts_only_against_its_own_scene() -> None:
    found = reaction((-0.02, -0.04, -0.06, -0.08))
    assert found.verdict == "reacts only against the same scene undamaged"
    assert found.paired[-1].value == 1
    assert found.detected_from("paired") == 0.5


def test_a_score_that_gets_better_is_called_so() -> None:
    assert reaction((1, 2, 4, 8)).verdict == "gets better where it should get worse"
    assert reaction((1, 2, 4, 8), "sca").verdict.startswith("gets better from what it should ignore")


def test_a_metric_that_should_ignore_the_damage_but_moves_is_unwanted_in_either_direction() -> None:
    for effects in ((-1, -2, -4, -8), (1, 2, 4, 8)):
        found = reaction(effects, "sca")
        assert found.wanted is False
        assert found.unwanted
        assert not found.failed
    assert not reaction((0, 0, 0, 0), "sca").unwanted


def test_chance_alone_is_rarely_called_a_reaction() -> None:
    called = sum(
        react(METRICS["sca"], "sca", BLUR, np.random.default_rng(seed).normal(0, 1, (5, SCENES)), seed).unwanted
        for seed in range(40)
    )
    assert called <= 8


def test_detection_starts_where_all_stronger_damage_is_noticed() -> None:
    assert reaction((0, -9, 0, -9)).detected_from() == 4
    assert reaction((0, -9, -9, -9)).detected_from() == 1
    assert reaction((-9, -9, -9, 0)).detected_from() is None


def test_scenes_without_a_value_are_left_out_and_strengths_without_any_too() -> None:
    grid = values((-4, -4, -4, -4))
    grid[1] = np.nan
    grid[2, :20] = np.nan
    found = react(METRICS["sharpness"], "sharpness", BLUR, grid)
    assert found.strengths == (1, 2, 4)
    assert found.scenes == SCENES
    assert found.auc[0].value > 0.9
    grid[:] = np.nan
    assert react(METRICS["sharpness"], "sharpness", BLUR, grid) is None


def test_intervals_narrow_with_more_scenes_and_hold_the_value() -> None:
    rng = np.random.default_rng(0)
    widths = []
    for scenes in (8, 200):
        clean = rng.normal(0, 1, scenes)
        damage = replace(BLUR, strengths=(1.0,))
        estimate = react(METRICS["sharpness"], "sharpness", damage, np.stack([clean, clean - 1])).auc[0]
        assert estimate.low <= estimate.value <= estimate.high
        widths.append(estimate.high - estimate.low)
    assert widths[1] < widths[0]
