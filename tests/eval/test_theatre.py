"""The theatre's measurements on the world's own rendering, where every answer is known."""

from __future__ import annotations

import argparse
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from eval import theatre
from eval.evidence import Detection
from eval.fidelity import DISTANCE, SHARPNESS, sum_pictures
from eval.shots import load_detector
from eval.theatre import (
    FIRST_SEED,
    CutCheck,
    Tally,
    check_cuts,
    compare_pictures,
    measure,
    measured_scenes,
    rendered,
    save_tallies,
    table,
)
from holocine.puppet.judge import load_judge
from holocine.puppet.training.data import TRAINING_SEED, shard_scenes
from holocine.puppet.world import sample_scene


def run(*arguments: str) -> None:
    parser = argparse.ArgumentParser()
    theatre.add_arguments(parser)
    theatre.run(parser.parse_args(arguments))


def test_measured_scenes_are_never_trained_on() -> None:
    trained = {scene.seed for scene in shard_scenes(0)}
    assert not trained & {scene.seed for scene in measured_scenes(200)}
    assert FIRST_SEED + 200 <= TRAINING_SEED


def test_an_independent_detector_finds_the_cuts_of_the_world_and_nothing_else() -> None:
    detector = load_detector()
    total = sum((check_cuts(FIRST_SEED + i, 65, detector) for i in range(3)), CutCheck())
    assert total.scenes == 3
    assert total.exact_share >= 0.95
    assert total.mean_accuracy >= 0.95
    assert total.extra == 0


class SeesNothing:
    """A detector that finds no cut."""

    name = "nothing 1"

    def detect(self, thumbnails: np.ndarray) -> Detection:
        return Detection(self.name, len(thumbnails), ())


def test_missed_cuts_are_named_by_the_seed_that_makes_their_scene_again() -> None:
    check = check_cuts(5, 65, SeesNothing())
    assert check.missed == tuple((5, cut) for cut in sample_scene(5).cuts)
    assert (check.exact, check.extra, check.wanted) == (0, 0, len(check.missed))
    shots = len(check.missed) + 1
    assert check.accuracy == pytest.approx(math.exp(-(shots - 1) / shots))


def test_checks_of_scenes_add_up() -> None:
    one = CutCheck(wanted=3, exact=2, extra=1, accuracy=0.5, scenes=1, missed=((7, 33),))
    two = CutCheck(wanted=1, exact=1, accuracy=1.0, scenes=1)
    both = one + two
    assert (both.exact_share, both.mean_accuracy, both.extra) == (0.75, 0.75, 1)
    assert both.missed == ((7, 33),)
    assert (CutCheck().exact_share, CutCheck().mean_accuracy) == (None, None)


def test_truth_scores_higher_than_a_video_of_another_scene() -> None:
    scenes, judge, detector = measured_scenes(5), load_judge(), load_detector("pyscenedetect")
    frames = [video for _, video in rendered(scenes)]
    truth = measure(zip(scenes, frames, strict=True), judge, detector)
    swapped = measure(zip(scenes, frames[1:] + frames[:1], strict=True), judge, detector)
    assert truth.share("cut on the requested frame") >= 0.9
    assert swapped.share("cut on the requested frame") < 0.6
    for question in ("setting", "size", "puppets (colour, body and hat of each)", "puppets and setting"):
        assert truth.share(question) > swapped.share(question) + 0.3
    assert truth.share("a question that is never asked") is None


def test_lanterns_are_asked_for_where_there_are_some_and_have_to_come_on_in_their_shot() -> None:
    question, judge, detector = "lanterns (dark, coming on or lit)", load_judge(), SeesNothing()
    scenes = [scene for scene in measured_scenes(30) if scene.lanterns][:3]
    truth = measure(rendered(scenes), judge, detector)
    assert truth.asked[question] == sum(len(scene.shots) for scene in scenes) and truth.share(question) >= 0.8
    never = [replace(scene, shots=tuple(replace(s, lanterns_light_up=False) for s in scene.shots)) for scene in scenes]
    dark = measure(zip(scenes, (video for _, video in rendered(never)), strict=True), judge, detector)
    assert dark.share(question) < truth.share(question) - 0.3
    assert measure(rendered([s for s in measured_scenes(3) if not s.lanterns]), judge, detector).share(question) is None


def test_tables_show_shares_with_their_counts_and_files_keep_the_counts(tmp_path: Path) -> None:
    one, two = Tally(), Tally()
    one.add("setting", [True, True, False, True])
    two.add("size", [])
    lines = table({"generated": one, "truth": two}).splitlines()
    assert lines[0] == "| | generated | truth |"
    assert lines[2:] == ["| setting | 75.0 % (3/4) | – |", "| size | – | – |"]
    save_tallies({"generated": one}, tmp_path / "counts.json")
    kept = json.loads((tmp_path / "counts.json").read_text())
    assert kept == {"generated": {"right": {"setting": 3}, "asked": {"setting": 4}}}


def test_pictures_are_compared_with_the_truth_in_rows_of_their_own(tmp_path: Path) -> None:
    class Mean:
        """Embeds a picture as its mean colour."""

        def embed_images(self, pictures: np.ndarray) -> np.ndarray:
            return pictures.mean((1, 2))

    frames = [video for _, video in rendered(measured_scenes(2))]
    pictures = {
        "generated": sum_pictures([video // 2 for video in frames], Mean()),
        "truth": sum_pictures(frames, Mean()),
    }
    measures = compare_pictures(pictures)
    assert measures[SHARPNESS]["generated"] == pytest.approx(0.25, abs=0.01)
    assert measures[SHARPNESS]["truth"] == 1.0
    assert measures[DISTANCE]["truth"] == pytest.approx(0.0, abs=1e-6) != measures[DISTANCE]["generated"]
    tallies = {name: Tally({"size": 1}, {"size": 2}) for name in pictures}
    assert f"| {SHARPNESS} | 0.2" in table(tallies, measures)
    assert table({"generated": Tally()}, compare_pictures({"generated": pictures["generated"]})).count("–") == 2
    save_tallies(tallies, tmp_path / "counts.json", measures)
    kept = json.loads((tmp_path / "counts.json").read_text())
    assert kept["truth"] == {"right": {"size": 1}, "asked": {"size": 2}, "measures": {SHARPNESS: 1.0, DISTANCE: 0.0}}


def test_tallies_add_up() -> None:
    one, two = Tally(), Tally()
    one.add("setting", [True, False])
    two.add("setting", [True])
    two.add("size", [False])
    both = one + two
    assert (both.right, both.asked) == ({"setting": 2, "size": 0}, {"setting": 3, "size": 1})
    assert one.asked == {"setting": 2}


def test_the_command_says_how_well_the_cuts_are_found(capsys: pytest.CaptureFixture) -> None:
    run("cuts", "--scenes", "3", "--frames", "33", "--detector", "pyscenedetect")
    lines = capsys.readouterr().out.splitlines()
    cuts = sum(len(scene.cuts) for scene in measured_scenes(3, 33))
    assert lines[0].startswith("scenedetect-headless")
    assert lines[0].endswith("on 3 rendered scenes of 33 frames")
    assert f"/{cuts})" in lines[1]


def test_a_sheet_shows_truth_and_video_of_every_scene_in_turn(make_pipeline) -> None:
    pipeline, scenes = make_pipeline(max_sequence_length=512), measured_scenes(2, 33)
    sheet = np.asarray(theatre.comparison_sheet(pipeline, scenes, columns=4, height=64, width=112))
    assert sheet.shape == (4 * 64 * 2, 4 * 112 * 2, 3)
    first = next(iter(rendered(scenes)))[1][0]
    np.testing.assert_array_equal(sheet[:128:2, :224:2], first)
