"""The arena on the results that come with the desk: nothing tells which system is which before the vote is ended."""

import json
import random
import shutil

import av
import gradio as gr
import numpy as np
import pytest

from benchmarks.reporting.arena import QUESTIONS, arena_tables
from benchmarks.reporting.votes import make_pairs
from desk.studio.matchups import Matchups
from desk.studio.outputs import owner_of
from desk.tabs import arena, shipped
from holocine import read_video

VISITOR, OTHER = "a visitor’s secret of some length", "another visitor’s secret of some length"


@pytest.fixture(scope="module")
def name():
    return next(iter(shipped.shipped()))


@pytest.fixture(scope="module")
def results(name):
    return arena.load(name).results


def event(**data) -> gr.EventData:
    return gr.EventData(None, data)


def test_nothing_that_is_shown_or_served_tells_which_system_is_which(studio, name, results):
    value = arena._next(studio, name, VISITOR)
    assert value["state"] == "asking" and [side["letter"] for side in value["sides"]] == ["A", "B"]
    text = json.dumps({**value, "shots": None, "global": None, "title": None})
    assert not [system for system in results.systems if system in text]
    matchup = Matchups(studio.outputs.folder / arena.VOTES).find(owner_of(VISITOR), value["token"])
    for side, system in zip(value["sides"], (matchup.pair.left, matchup.pair.right), strict=True):
        copy, own = side["video"]["path"], arena._video(results, matchup.pair, system)
        with av.open(copy) as file:
            assert not {"comment", "description", "title"} & set(file.metadata)
        data = (studio.outputs.files / copy).read_bytes()
        assert b"x264" not in data and b"attention" not in data and system.encode() not in data
        assert (studio.outputs.files / copy).stat().st_mtime == 0
        assert np.array_equal(read_video(copy).frames, read_video(own).frames)


def test_questions_come_one_after_the_other_and_then_it_is_uncovered(studio, name, results):
    value, vote = arena._next(studio, name, VISITOR), arena._vote(studio)
    for number, (question, asked) in enumerate(QUESTIONS.items(), start=1):
        assert value["question"] == {"name": question, "text": asked.text, "number": number, "of": 5}
        assert "names" not in value
        choice = ("left", "right", "tie")[number % 3]
        value = vote(VISITOR, event(token=value["token"], question=question, choice=choice))
    assert value["state"] == "uncovered" and set(value["names"]) == {"A", "B"}
    assert set(value["names"].values()) < set(results.competing)
    assert [answer["choice"] for answer in value["answers"]] == ["B", "tie", "A", "B", "tie"]
    answers = Matchups(studio.outputs.folder / arena.VOTES).judgements(name)
    assert {question: len(judged) for question, judged in answers.items()} == dict.fromkeys(QUESTIONS, 1)


def test_who_ends_early_sees_the_names_and_goes_on_with_two_others(studio, name):
    first = arena._next(studio, name, VISITOR)
    assert arena._next(studio, name, VISITOR) == first, "a page that is opened again"
    seen = arena._uncover(studio)(VISITOR, event(token=first["token"]))
    assert seen["state"] == "uncovered" and seen["answers"] == []
    after = arena._go_on(studio)(name, VISITOR, event(token=first["token"]))
    assert after["state"] == "asking" and after["token"] != first["token"]
    assert not (studio.outputs.files / first["token"]).exists()


def test_nobody_votes_on_or_uncovers_what_another_was_shown(studio, name, monkeypatch):
    said = []
    monkeypatch.setattr(arena.gr, "Warning", said.append)
    token = arena._next(studio, name, VISITOR)["token"]
    arena._vote(studio)(OTHER, event(token=token, question="cuts", choice="left"))
    arena._uncover(studio)(OTHER, event(token=token))
    arena._go_on(studio)(name, OTHER, event(token=token))
    assert len(said) == 2 and all("not shown to you" in text for text in said)
    assert (studio.outputs.files / token / "A.mp4").exists()
    assert not Matchups(studio.outputs.folder / arena.VOTES).judgements(name)
    assert "keeps no data" in arena._next(studio, name, None)["message"]
    assert "not here" in arena._next(studio, "no such suite", VISITOR)["message"]


def test_who_has_seen_all_pairs_is_thanked(studio, name, results):
    matchups, pairs = Matchups(studio.outputs.folder / arena.VOTES), make_pairs(results)
    for _ in pairs:
        matchups.uncover(owner_of(VISITOR), matchups.next(owner_of(VISITOR), name, pairs, random.Random(0)).token)
    assert arena._next(studio, name, VISITOR) == {
        "state": "empty",
        "message": "You have seen all pairs of this suite. Thank you.",
    }


def test_votes_of_simulated_visitors_become_strengths_agreement_and_accord_with_metrics(studio, name, results):
    """Visitors who like the system that comes later in the run, whatever they are asked."""
    matchups, pairs = Matchups(studio.outputs.folder / arena.VOTES), make_pairs(results)[:60]
    assert arena._tell(studio)(name) == arena._NOBODY
    for voter in ("v1", "v2", "v3"):
        while (now := matchups.next(voter, name, pairs, random.Random(voter))) is not None:
            later = max((now.pair.left, now.pair.right), key=results.competing.index)
            for question in ("cuts", "overall"):
                matchups.answer(voter, now.token, question, "left" if later == now.pair.left else "right")
            matchups.uncover(voter, now.token)
    tables = arena_tables(matchups.judgements(name), arena.load(name))
    titles = [table.title for table in tables]
    assert titles[0].startswith(QUESTIONS["cuts"].text) and f"{3 * len(pairs)} votes" in titles[0]
    ranked = [row[0].text for row in tables[0].rows]
    there = {system for pair in pairs for system in (pair.left, pair.right)}
    assert ranked == [system for system in reversed(results.competing) if system in there]
    [agreement] = [table for table in tables if table.name == "arena-agreement"]
    assert [row[1].text for row in agreement.rows] == ["1.00", "1.00"]
    [accord] = [table for table in tables if table.name == "arena-metrics"]
    assert accord.head == ("metric", "cuts", "overall") and accord.rows
    told = arena._tell(studio)(name)
    assert "Do voters agree?" in told and "Do metrics say what voters say?" in told


def test_runs_of_the_folder_that_the_variable_names_are_there_too(name, tmp_path, monkeypatch):
    shutil.copytree(shipped.shipped()[name], tmp_path / "mine")
    monkeypatch.setenv(arena.VARIABLE, str(tmp_path))
    assert list(arena.suites()) == [*shipped.shipped(), "mine"]
    monkeypatch.setenv(arena.VARIABLE, str(tmp_path / "mine"))
    assert list(arena.suites()) == [*shipped.shipped(), "mine"], "a run itself"
    monkeypatch.setenv(arena.VARIABLE, str(tmp_path / "nothing"))
    assert list(arena.suites()) == list(shipped.shipped())
