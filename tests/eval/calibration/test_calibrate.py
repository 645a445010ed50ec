from __future__ import annotations

import argparse
import json
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from eval.calibration import calibrate
from eval.calibration.calibrate import Record, arrange, calibration_scenes, collect, keys, metrics_by_name, score_one
from eval.calibration.damage import DAMAGES, Damage
from eval.calibration.page import page, write_calibration
from eval.calibration.reaction import badness, reactions
from eval.encoders import load_encoders
from eval.metrics import all_metrics
from eval.shots import load_detector
from eval.trust import Trust, judged, trust_in
from holocine.puppet.captions import to_storyboard
from holocine.puppet.world import sample_scene

BY_NAME = {damage.name: damage for damage in DAMAGES}
SMALL = {  # damage: strength, and the metrics that have to notice it
    "cuts_moved": (4, ("sca", "cut_offset", "cut_f1_2")),
    "cuts_dropped": (1, ("sca", "cut_recall_5", "shot_count_error")),
    "cuts_added": (1, ("sca", "cut_precision_5", "shot_count_error")),
    "colour_changed": (1, ("character_consistency@crops",)),
    "character_morphs": (2, ("subject_consistency",)),
    "shots_replaced": (3, ("text_video", "text_shot")),
    "captions_shuffled": (3, ("text_shot", "camera_movement")),
    "camera_changed": (3, ("camera_movement",)),
    "blur": (2, ("sharpness",)),
    "overexposed": (40, ("clipping",)),
    "flicker": (5, ("flicker",)),
    "frames_repeated": (40, ("motion_smoothness",)),
    "frozen": (100, ("dynamic_degree",)),
}


def at(name: str, *strengths: float) -> Damage:
    return replace(BY_NAME[name], strengths=strengths)


@cache
def small_calibration() -> dict[tuple[str, str], np.ndarray]:
    """Badness by metric and damage, (2, scenes): undamaged and damaged, on a few short scenes."""
    damages = tuple(at(name, strength) for name, (strength, _) in SMALL.items())
    scenes = calibration_scenes(2, 65, 3)
    encoders, detector = load_encoders("auto", to_storyboard(sample_scene(0))), load_detector("pyscenedetect")
    records: dict[tuple, Record] = {}
    for key in keys(scenes, damages):
        records[key] = score_one(scenes[key[0]], key, encoders, detector)
    arrays, metrics = arrange(records, damages), metrics_by_name()
    return {key: badness(metrics[key[0]], values) for key, values in arrays.items()}


@pytest.mark.parametrize(
    ("name", "metric"), [(name, metric) for name, (_, metrics) in SMALL.items() for metric in metrics]
)
def test_a_metric_reacts_to_what_it_is_for(name: str, metric: str) -> None:
    clean, damaged = small_calibration()[metric, name]
    there = np.isfinite(clean) & np.isfinite(damaged)
    assert there.any()
    assert (damaged[there] - clean[there]).mean() > 0


@pytest.mark.parametrize("name", ["blur", "flicker", "colour_changed", "captions_shuffled"])
def test_cuts_are_found_whatever_else_is_wrong(name: str) -> None:
    clean, damaged = small_calibration()["sca", name]
    np.testing.assert_allclose(damaged[np.isfinite(damaged)], clean[np.isfinite(damaged)], atol=0.02)


def test_what_was_scored_is_kept_and_the_rest_is_added(tmp_path: Path) -> None:
    scenes, path = calibration_scenes(1, 33, 2), tmp_path / "values.jsonl"
    one, two = (at("overexposed", 40),), (at("overexposed", 40), at("blur", 2))
    assert len(collect(scenes, path, damages=one)) == 2
    kept = path.read_text()
    path.write_text(kept + '{"scene": 1, "dama')  # stopped while a line was written
    steps: list[int] = []
    records = collect(scenes, path, damages=two, progress=steps.append)
    assert steps == [2, 1]
    assert path.read_text().startswith(kept)
    assert len(records) == 3
    assert all(record.values["sca"] is not None for record in records.values())
    assert collect(scenes, path, damages=two, progress=steps.append) == records
    assert steps == [2, 1, 3], "nothing is scored again"


def test_two_processes_find_what_one_finds(tmp_path: Path) -> None:
    scenes, damages = calibration_scenes(1, 33, 2), (at("overexposed", 40),)
    alone = collect(scenes, tmp_path / "alone.jsonl", damages=damages)
    assert collect(scenes, tmp_path / "together.jsonl", jobs=2, damages=damages) == alone


def test_values_of_another_version_are_made_again(tmp_path: Path) -> None:
    path = tmp_path / "values.jsonl"
    collect(calibration_scenes(1, 33, 2), path, damages=())
    line = json.loads(path.read_text())
    path.write_text(json.dumps({**line, "made_with": "something older"}) + "\n")
    steps: list[int] = []
    collect(calibration_scenes(1, 33, 2), path, damages=(), progress=steps.append)
    assert steps == [0, 1]


SOME = ("sca", "different_characters", "flicker", "text_shot", "shot_size", "sharpness")


@cache
def made_up(effect: float = 3.0) -> list:
    """Reactions as they would be if some metrics noticed exactly what they are for."""
    rng, values, metrics = np.random.default_rng(0), {}, {name: metrics_by_name()[name] for name in SOME}
    for damage in DAMAGES:
        for name, metric in metrics.items():
            sign = 1 if metric.direction == "lower" else -1
            clean = rng.normal(0, 1, 10)
            grow = [sign * effect * k * (name in damage.moves) for k in range(len(damage.strengths) + 1)]
            values[name, damage.name] = np.stack([clean + step for step in grow])
    return reactions(metrics, DAMAGES, values)


def test_metrics_are_judged_by_their_numbers() -> None:
    by_metric: dict[str, list] = {}
    for reaction in made_up():
        by_metric.setdefault(reaction.metric, []).append(reaction)
    assert judged(by_metric["sca"]) == "good"
    assert judged(by_metric["different_characters"]) == "untested"
    for reaction in made_up(effect=0.0):
        assert judged([reaction]) in ("poor", "untested")


def test_the_page_says_what_does_not_react() -> None:
    text = page(made_up(effect=0.0), 10)
    row = next(line for line in text.splitlines() if line.startswith("| `sharpness` | blur"))
    assert row.endswith("| does not react |")
    assert "| `sharpness` | poor | – | blur | – |" in text


def test_page_pictures_and_numbers_are_written_together(tmp_path: Path) -> None:
    scene = next(iter(calibration_scenes(1, 33, 2).values()))
    write_calibration(tmp_path, made_up(), scene, 10, {"clip": "a clip"})
    text, numbers = (tmp_path / "CALIBRATION.md").read_text(), json.loads((tmp_path / "calibration.json").read_text())
    assert numbers["format"] == "holocine-calibration/1"
    assert len(numbers["reactions"]) == len(made_up())
    assert numbers["encoders"] == {"clip": "a clip"}
    assert trust_in(all_metrics()["sca"], "theatre", folder=tmp_path) == Trust("good")
    told = trust_in(all_metrics()["text_shot"], "theatre", {"clip": "another"}, tmp_path)
    assert told == Trust("untested", "calibrated with other encoders (a clip)")
    for name in ("damage", "matrix", "curves"):
        assert f"(calibration/{name}.png)" in text
        assert (tmp_path / "calibration" / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_one_scene_is_too_few_for_intervals() -> None:
    parser = argparse.ArgumentParser()
    calibrate.add_arguments(parser)
    with pytest.raises(ValueError, match="--scenes is 1, but intervals need at least 2 scenes"):
        calibrate.run(parser.parse_args(["--scenes", "1"]))
