import subprocess
import sys

import numpy as np
import pytest

from benchmarks.speed import scoring as speed_eval
from benchmarks.speed.scoring import EvalCost, OwnEvidence, eval_table, measure_memory, moving_video, puppet_videos
from eval.encoders import load_encoders
from eval.encoders.finders import load_finder
from eval.footage import observe
from eval.gathering import gather, storyboard_of
from eval.metrics import all_metrics
from eval.scorecard import measure, measure_all
from eval.shots import load_detector


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    return puppet_videos(tmp_path_factory.mktemp("videos"), 1)[0]


def test_a_metric_by_itself_gives_the_value_that_it_has_in_the_one_pass(video):
    """So both ways do the same work, and their times can be compared."""
    storyboard = storyboard_of(video)
    encoders, detector = load_encoders("auto", storyboard), load_detector("pyscenedetect")
    finder, _ = load_finder(None, storyboard)
    together = measure_all(gather(video, storyboard, encoders, detector, finder=finder))
    for name in (
        "sca",
        "flicker",
        "character_presence",
        "character_consistency",
        "subject_consistency",
        "shot_retrieval",
        "shot_size",
    ):
        alone = measure(all_metrics()[name], OwnEvidence(video, storyboard, encoders, detector))
        assert alone.value is not None and alone.value == together[name].value, name


def test_a_metric_by_itself_pays_only_for_what_it_looks_at(video, monkeypatch):
    passes = []
    monkeypatch.setattr(speed_eval, "observe", lambda video: passes.append("footage") or observe(video))
    storyboard = storyboard_of(video)
    encoders = load_encoders("auto", storyboard)
    evidence = OwnEvidence(video, storyboard, encoders, load_detector("pyscenedetect"))
    assert measure(all_metrics()["sharpness"], evidence).value is not None
    assert passes == ["footage"] and "_clip" not in vars(evidence) and "_looked" not in vars(evidence)


def test_long_videos_are_written_frame_by_frame_with_their_cuts(tmp_path):
    storyboard = moving_video(tmp_path / "a.mp4", 161, 16.0)
    assert storyboard.num_frames == 161 and storyboard.cuts == (81,)
    footage = observe(tmp_path / "a.mp4")
    assert footage.num_frames == 161 and footage.size == speed_eval.LARGE
    steps = np.abs(np.diff(footage.thumbnails.astype(float), axis=0)).mean((1, 2, 3))
    assert steps.argmax() == 80 and steps[80] > 4 * np.median(steps)


def test_memory_is_that_of_a_process_of_its_own(tmp_path):
    assert 2e8 < measure_memory(tmp_path, "puppet", 33) < 3e9


def test_memory_of_the_process_that_starts_it_does_not_count():
    ballast = np.ones(800_000_000, np.uint8)
    code = "from benchmarks.running.work import PeakMemory; print(PeakMemory().megabytes())"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert 5 < float(found) < 500 < ballast.nbytes / 2**20


def test_the_table_sets_numbers_against_their_targets():
    cost = EvalCost(2.0, 9.0, 36, 2, 41.25, {"frames": 1.0, "shots": 0.5}, {"puppet": 1_250_000_000})
    table = eval_table(cost)
    for text in (
        "36 metrics",
        "4.5 times as long (target 3)",
        "41.2 with 2 processes (target 30)",
        "1.25 GB",
        "1.50 s",
    ):
        assert text in table
