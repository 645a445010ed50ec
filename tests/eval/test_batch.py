import os
import signal
import time
from pathlib import Path

import pytest
import torch

import eval.batch
from eval.batch import TOLERANCE, Options, card_name, check, score_all, score_one
from eval.combining import combine
from eval.scorecard import Scorecard
from holocine import Storyboard, write_video
from holocine.puppet.captions import to_storyboard
from holocine.puppet.renderer import render
from holocine.puppet.world import sample_scene

QUICK = {"detector": "pyscenedetect"}


@pytest.fixture(scope="module")
def storyboard():
    return Storyboard.from_captions(
        "A studio. [character1] is a painter.",
        ["[character1] at work.", "A cat.", "[character1] at the window."],
        num_frames=33,
        shot_cut_frames=[9, 21],
        fps=12.0,
    )


@pytest.fixture
def videos(tmp_path, three_shots, storyboard):
    """Three videos with their storyboard inside, and a text file."""
    paths = []
    for number in range(3):
        frames = three_shots if number < 2 else three_shots[::-1]
        path = tmp_path / f"take {number}.mp4"
        write_video(path, frames if number else frames[:, ::-1], 12, storyboard)
        paths.append(str(path))
    (tmp_path / "text.mp4").write_text("a text")
    return [paths[0], str(tmp_path / "text.mp4"), *paths[1:]]


def by_video(outcomes):
    return {Path(outcome.video).name: outcome for outcome in outcomes}


def without_seconds(card):
    return card.model_copy(update={"seconds": {}})


def test_one_bad_file_never_stops_the_rest(videos):
    outcomes = list(score_all(videos, Options(**QUICK)))
    assert [outcome.video for outcome in outcomes] == videos
    assert [outcome.scorecard is not None for outcome in outcomes] == [True, False, True, True]
    assert "text.mp4 is not a video" in outcomes[1].error


def test_a_failure_that_nobody_foresaw_is_told_and_logged(videos, monkeypatch, caplog):
    def fail(*arguments, **options):
        raise RuntimeError("all is lost")

    monkeypatch.setattr(eval.batch, "examine", fail)
    outcome = score_one(videos[0], Options(**QUICK))
    assert outcome.error == "scoring failed, RuntimeError: all is lost"
    assert any("take 0.mp4" in message for message in caplog.messages)


def test_two_processes_give_the_same_scorecards_and_the_same_total_as_one(videos, tmp_path):
    one = by_video(score_all(videos, Options(**QUICK, out=str(tmp_path))))
    two = by_video(score_all(videos, Options(**QUICK), jobs=2))
    assert set(one) == set(two) and two["text.mp4"].error == one["text.mp4"].error
    cards = [[o.scorecard for _, o in sorted(outcomes.items()) if o.scorecard] for outcomes in (one, two)]
    assert len(cards[0]) == 3
    for a, b in zip(*cards, strict=True):
        assert without_seconds(a) == without_seconds(b)
    assert combine(cards[0]) == combine(reversed(cards[1]))
    on_disk = [Scorecard.load(path) for path in tmp_path.glob("take*.json")]
    assert combine(on_disk) == combine(cards[0])


def test_what_is_finished_is_kept_and_the_rest_is_scored(videos, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    request = Options(**QUICK, out=str(out))
    first = list(score_all(videos[:1], request))
    assert not first[0].kept
    names = sorted(path.name for path in out.iterdir())
    assert names == sorted([card_name(videos[0], first[0].scorecard.video.sha256), names[0].replace(".json", ".jpg")])
    again = by_video(score_all(videos, request))
    assert {name for name, outcome in again.items() if outcome.kept} == {"take 0.mp4"}
    assert again["take 0.mp4"].scorecard == first[0].scorecard
    assert all(outcome.kept for outcome in score_all(videos, request) if outcome.scorecard)


@pytest.mark.parametrize("change", ["storyboard", "fps", "detector", "boxes", "metrics", "damage"])
def test_a_finished_scorecard_is_not_kept_when_it_would_come_out_differently(
    videos, storyboard, tmp_path, change, monkeypatch
):
    out = tmp_path / "out"
    out.mkdir()
    video, request = videos[0], {**QUICK, "out": str(out)}
    score_one(video, Options(**request))
    assert score_one(video, Options(**request)).kept
    if change == "storyboard":
        other = storyboard.model_copy(update={"title": "Another"})
        (tmp_path / "board.yaml").write_text(other.to_yaml())
        request["storyboard"] = str(tmp_path / "board.yaml")
    elif change == "fps":
        request["fps"] = 24.0
    elif change == "detector":
        request["detector"] = "transnetv2"
    elif change == "boxes":
        (tmp_path / "boxes.json").write_text('{"[character1]": {"0": [0, 0, 20, 20]}}')
        request["boxes"] = str(tmp_path / "boxes.json")
    elif change == "metrics":
        known = eval.batch.all_metrics()
        monkeypatch.setattr(eval.batch, "all_metrics", lambda: {**known, "new": known["sca"]})
    else:
        next(out.glob("*.json")).write_text("{")
    assert not score_one(video, Options(**request)).kept


def test_the_same_storyboard_or_a_folder_of_them_may_be_given(videos, storyboard, tmp_path):
    boards = tmp_path / "boards"
    boards.mkdir()
    one = storyboard.model_copy(update={"title": "One"})
    (boards / "take 0.yaml").write_text(one.to_yaml())
    request = Options(**QUICK, storyboard=str(boards))
    assert score_one(videos[0], request).scorecard.storyboard["title"] == "One"
    assert "take 1.yaml is missing" in score_one(videos[2], request).error
    request = Options(**QUICK, storyboard=str(boards / "take 0.yaml"))
    assert score_one(videos[2], request).scorecard.storyboard["title"] == "One"
    prompt = Options(**QUICK, prompt=storyboard.prompt, cuts=(9, 21))
    assert score_one(videos[0], prompt).scorecard.metrics["sca"].value == 1


def test_what_would_fail_every_video_is_refused_before_any_work(tmp_path):
    (tmp_path / "file").touch()
    for request, reason in (
        (Options(storyboard="nowhere.yaml"), "nowhere.yaml"),
        (Options(detector="eyes"), "the detector is 'eyes'"),
        (Options(encoders="nothing"), "'nothing' is no encoder"),
        (Options(boxes=str(tmp_path / "boxes.json")), "boxes.json cannot be read"),
        (Options(out=str(tmp_path / "file")), "is a file, but scorecards need a folder"),
        (Options(prompt="a beach"), "the prompt has no tags"),
        (Options(aesthetic="missing.pth"), "missing.pth is not a file"),
    ):
        with pytest.raises((ValueError, OSError), match=reason):
            check(request)


def test_a_process_that_dies_takes_only_its_own_videos_along(videos):
    """The kernel ends processes that take too much memory without a word."""
    killed = []
    outcomes = []
    for outcome in score_all(videos * 2, Options(**QUICK), jobs=2):
        outcomes.append(outcome)
        if not killed:
            killed = [child for child in _children(os.getpid()) if _runs_worker(child)]
            os.kill(killed[0], signal.SIGKILL)
            time.sleep(0.1)
    assert len(outcomes) == 8
    died = [outcome for outcome in outcomes if outcome.error and "died" in outcome.error]
    assert 1 <= len(died) <= 2
    assert len([outcome for outcome in outcomes if outcome.scorecard]) >= 4


def _children(pid):
    return [int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in _read(task / "children").split()]


def _runs_worker(pid):
    return b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()


def _read(path):
    return path.read_text() if path.exists() else ""


def test_any_number_of_processes_gives_the_same_values_within_the_tolerance(tmp_path, monkeypatch):
    """The encoder of the theatre, whose sums come out in another order on another number of threads."""
    scene = sample_scene(5, num_frames=33, num_shots=2)
    paths = [str(tmp_path / f"{name}.mp4") for name in "ab"]
    for path in paths:
        write_video(path, render(scene)[0], 12.0, to_storyboard(scene, seed=5))
    threads = torch.get_num_threads()
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    try:
        torch.set_num_threads(2)
        one = [outcome.scorecard for outcome in score_all(paths, Options(**QUICK))]
    finally:
        torch.set_num_threads(threads)
    two = [outcome.scorecard for _, outcome in sorted(by_video(score_all(paths, Options(**QUICK), jobs=2)).items())]
    for a, b in zip(one, two, strict=True):
        assert a.metrics["text_shot"].value is not None
        for name, record in a.metrics.items():
            other = b.metrics[name]
            assert (record.value is None) == (other.value is None)
            assert record.value is None or abs(record.value - other.value) <= TOLERANCE, name
            assert (record.covered, record.of, record.reason) == (other.covered, other.of, other.reason)
