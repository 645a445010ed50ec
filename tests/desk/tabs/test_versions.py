"""Versions of one scene: shown as they are made, blind where that is asked for, and a vote that counts once."""

import json
from dataclasses import asdict, replace

import gradio as gr
import numpy as np
import pytest

from benchmarks.reporting.bradley_terry import Pick
from benchmarks.reporting.votes import add_pick, read_choices, read_picks
from desk.studio import remakes
from desk.studio.jobs import Job
from desk.studio.limits import LimitError
from desk.tabs import bench, compare, versions
from holocine import read_video
from holocine.video import read_settings

VISITOR = "a visitor’s secret of some length"


@pytest.fixture
def several(settings):
    """Three settings that differ in attention and steps."""
    return [settings, replace(settings, attention="full"), replace(settings, attention="isolated", steps=1)]


@pytest.fixture
def compared(studio, storyboard, several, wait):
    """Call for the record of a finished comparison."""

    def compared(blind, count=2):
        job = wait(versions.submit(studio, VISITOR, storyboard, several[:count], blind), 200)
        assert job.state == "done", job.message
        return studio.outputs.find(job.id, VISITOR), job

    return compared


def shown(studio, record):
    return versions.shown(record.id, record.content, studio.outputs.files / record.id)


def test_each_version_is_shown_when_it_is_made(studio, compared):
    record, job = compared(blind=False)
    running = Job(VISITOR, lambda job: None, 9, "compare", id=record.id, state="running", progress=job.progress)
    value = versions.of_job(running, studio.jobs, studio.outputs.files)
    [first] = value["versions"]
    assert (first["letter"], first["name"]) == ("A", "sparse attention")
    assert (value["progress"]["made"], value["count"]) == (1, 2)
    assert len(read_video(first["video"]["path"]).frames) == 17
    assert 0.5 < value["progress"]["share"] < 1
    value = shown(studio, record)
    assert [version["name"] for version in value["versions"]] == ["sparse attention", "full attention"]


def test_a_blind_comparison_tells_nothing_before_the_vote(studio, compared):
    record, job = compared(blind=True, count=3)
    running = Job(VISITOR, lambda job: None, 9, "compare", id=record.id, state="running", progress=job.progress)
    told = versions.of_job(running, studio.jobs, studio.outputs.files)
    assert set(told["progress"]) == {"stopping", "share"} and "versions" not in told
    value = shown(studio, record)
    assert value["hidden"] and [version["letter"] for version in value["versions"]] == ["A", "B", "C"]
    assert {field for version in value["versions"] for field in version} == {"letter", "aspect", "video"}
    text = json.dumps([told, value])
    folders = [version["folder"] for version in record.content["versions"]]
    for word in ("attention", "isolated", "steps", "seed", "scorecard", *folders):
        assert word not in text, f"{word} is told"
    assert versions.uncovered(record.content, "A") is None


def test_what_all_versions_have_in_common_is_told_when_none_is_hidden(studio, compared, several):
    record, _ = compared(blind=True, count=3)
    assert "alike" not in shown(studio, record)
    record = versions.vote(studio.outputs, record, VISITOR, "A")
    assert shown(studio, record)["alike"] == "seed 11, guidance 5"
    made = [{"settings": asdict(one)} for one in (several[0], replace(several[0], seed=12))]
    assert versions.alike(made) == "sparse attention, steps 2, guidance 5"


def test_copies_for_a_blind_comparison_are_the_same_pictures_without_how_they_were_made(studio, compared):
    record, _ = compared(blind=True)
    for version, made in zip(shown(studio, record)["versions"], record.content["versions"], strict=True):
        own = studio.outputs.files / record.id / made["folder"] / "video.mp4"
        copy = studio.outputs.files / version["video"]["path"]
        assert np.array_equal(read_video(copy).frames, read_video(own).frames)
        assert read_settings(own)["num_inference_steps"] == 2 and b"x264" in own.read_bytes()
        assert not read_settings(copy) and b"x264" not in copy.read_bytes() and b"attention" not in copy.read_bytes()
        assert copy.stat().st_mtime == 0 and copy.parent.name not in [v["folder"] for v in record.content["versions"]]


def test_letters_of_a_blind_comparison_are_drawn_apart_from_the_order_of_making(studio, compared, monkeypatch):
    monkeypatch.setattr(versions.random.SystemRandom, "shuffle", lambda self, letters: letters.reverse())
    record, _ = compared(blind=True)
    names = {version["letter"]: version["name"] for version in record.content["versions"]}
    assert names == {"B": "sparse attention", "A": "full attention"}


def test_a_vote_among_three_is_one_choice_and_the_first_one_stands(studio, compared):
    record, _ = compared(blind=True, count=3)
    record = versions.vote(studio.outputs, record, VISITOR, "B")
    record = versions.vote(studio.outputs, record, VISITOR, "A")
    names = {version["letter"]: version["name"] for version in record.content["versions"]}
    [pick] = read_picks(studio.outputs.folder / versions.VOTES)
    assert set(pick.systems) == set(names.values()) and len(pick.systems) == 3 and pick.chosen == names["B"]
    assert read_choices(studio.outputs.folder / versions.VOTES) == []
    value = shown(studio, record)
    assert value["voted"] == "B" and not value["hidden"] and value["id"] == record.id
    assert {version["letter"]: version["name"] for version in value["versions"]} == names
    with pytest.raises(LimitError, match="a vote is for A, B, C or for none"):
        versions.vote(studio.outputs, record, VISITOR, "D")


def test_none_is_better_is_a_vote_too(studio, compared):
    record, _ = compared(blind=True)
    versions.vote(studio.outputs, record, VISITOR, versions.TIE)
    [pick] = read_picks(studio.outputs.folder / versions.VOTES)
    assert pick.chosen is None


def test_a_version_to_be_used_has_its_storyboard_and_settings(studio, compared, storyboard):
    record, _ = compared(blind=False, count=3)
    made = versions.uncovered(record.content, "C")
    assert (made["settings"]["attention"], made["settings"]["steps"]) == ("isolated", 1)
    assert made["storyboard"]["global_caption"] == storyboard.global_caption
    assert versions.uncovered(record.content, "D") is None
    assert versions.uncovered({"kind": "made"}, "A") is None


def test_use_this_one_takes_storyboard_and_settings_to_direct_and_not_while_it_is_blind(studio, compared, monkeypatch):
    said = []
    monkeypatch.setattr(compare.gr, "Warning", said.append)
    use = compare._use(studio)
    record, _ = compared(blind=True, count=3)
    assert use(record.id, VISITOR, gr.EventData(None, {"letter": "A"})) == gr.skip() and len(said) == 1
    record = versions.vote(studio.outputs, record, VISITOR, "A")
    letter = next(version["letter"] for version in record.content["versions"] if "isolated" in version["name"])
    written, tab, shown_there, listed, model, *fields = use(record.id, VISITOR, gr.EventData(None, {"letter": letter}))
    assert written["value"]["shots"][1]["caption"] == "Her hand." and written["value"]["seed"] == 11
    assert tab.selected == "direct" and model == record.content["versions"][0]["content"]["settings"]["model"]
    assert fields[:2] == ["isolated", 1] and fields[3:] == [{"seed": 11, "dice": False}, "48 x 32"]
    [own] = [one for one in studio.outputs.of(VISITOR) if one.content["kind"] == "made"]
    assert shown_there["id"] == own.id == written["made"]["id"] and [one["id"] for one in listed["scenes"]] == [own.id]
    studio.outputs.drop(record.id)
    assert len(read_video(studio.outputs.files / own.id / "video.mp4").frames) == 17, "it outlives the comparison"


def test_a_version_that_is_used_twice_is_one_video_which_can_be_gone_on_from(studio, compared, limits):
    record, _ = compared(blind=False)
    use = compare._use(studio)
    for _ in range(2):
        use(record.id, VISITOR, gr.EventData(None, {"letter": "B"}))
    [own] = [one for one in studio.outputs.of(VISITOR) if one.content["kind"] == "made"]
    assert own.content["settings"]["attention"] == "full"
    remake = remakes.retake(remakes.open_video(studio.outputs.files / own.id / "video.mp4", limits), [2])
    assert remake.kept == {1: 1, 3: 3}
    assert use(record.id, "somebody else’s long secret", gr.EventData(None, {"letter": "A"})) == gr.skip()


def test_votes_on_versions_that_were_never_compared_have_tables_of_their_own(studio):
    file = studio.outputs.folder / versions.VOTES
    assert bench._votes(studio) == ""
    add_pick(file, "one", "me", Pick(("sparse attention", "full attention"), "full attention", "s0"))
    add_pick(file, "other", "me", Pick(("steps 6", "steps 8", "steps 12"), None, "s0"))
    shown = bench._votes(studio)
    assert shown.count("<table>") == 2 and "full attention" in shown and "steps 12" in shown
