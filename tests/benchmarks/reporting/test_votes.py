"""Pairs and votes in SQLite."""

import multiprocessing
from collections import Counter

import pytest

from benchmarks.reporting.bradley_terry import Pick
from benchmarks.reporting.results import load_run
from benchmarks.reporting.votes import (
    Pair,
    VotesError,
    add_pick,
    add_vote,
    make_pairs,
    next_pair,
    read_choices,
    read_picks,
)

PAIRS = [Pair(f"s{i}", 0, "one", "two") for i in range(20)]


def vote_on_all(path, voter: str) -> None:
    for pair in PAIRS:
        add_vote(path, pair, voter, "left")


def test_votes_of_many_processes_at_once_are_all_there(tmp_path):
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=vote_on_all, args=(tmp_path / "v.sqlite", f"voter {i}")) for i in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0] * 4
    choices = read_choices(tmp_path / "v.sqlite")
    assert Counter(choice.storyboard_id for choice in choices) == {pair.storyboard_id: 4 for pair in PAIRS}
    assert {choice.preferred for choice in choices} == {"first"}


def test_a_second_vote_on_a_pair_changes_the_first(tmp_path):
    path = tmp_path / "v.sqlite"
    assert read_choices(path) == []
    assert add_vote(path, PAIRS[0], "me", "left") and add_vote(path, PAIRS[0], "you", "tie")
    assert not add_vote(path, PAIRS[0], "me", "right")
    assert sorted(choice.preferred for choice in read_choices(path)) == ["second", "tie"]


def test_the_next_pair_is_the_least_judged_that_the_voter_has_not_seen(tmp_path):
    path, pairs = tmp_path / "v.sqlite", PAIRS[:3]
    assert next_pair(path, pairs, "me") == pairs[0]
    add_vote(path, pairs[0], "you", "left")
    assert next_pair(path, pairs, "me") == pairs[1]
    add_vote(path, pairs[1], "me", "left")
    assert next_pair(path, pairs, "me") == pairs[2]
    add_vote(path, pairs[2], "me", "left")
    assert next_pair(path, pairs, "me") == pairs[0]
    add_vote(path, pairs[0], "me", "left")
    assert next_pair(path, pairs, "me") is None


def test_what_is_no_vote_is_refused(tmp_path):
    with pytest.raises(VotesError, match="a choice is one of left, right, tie, not 'up'"):
        add_vote(tmp_path / "v.sqlite", PAIRS[0], "me", "up")
    with pytest.raises(VotesError, match="needs the name of its voter"):
        add_vote(tmp_path / "v.sqlite", PAIRS[0], " ", "left")
    (tmp_path / "no.sqlite").write_text("this is no data base, but a text that is long enough to be one\n" * 9)
    with pytest.raises(VotesError, match="no.sqlite cannot be used for votes"):
        read_choices(tmp_path / "no.sqlite")


def test_pairs_are_of_the_competing_systems_that_have_videos_and_spread_evenly(tiny, write_run, tmp_path):
    folder = write_run(tmp_path, tiny, ["a=holocine", "b=isolated", "c=no-window", "truth"], lambda *_: {}, seeds=4)
    for video in folder.glob("items/*/*/*/"):
        if video.parts[-3:] != ("c", "scene-0", "0"):
            (video / "video.mp4").write_bytes(b"")
    results = load_run(folder)
    pairs = make_pairs(results)
    assert len(pairs) == 3 * 12 - 2 and len({pair.id for pair in pairs}) == len(pairs)
    assert {frozenset((pair.left, pair.right)) for pair in pairs} == {frozenset(two) for two in ("ab", "ac", "bc")}
    assert {pair.left for pair in pairs} == {"a", "b", "c"}, "no system is always on one side"
    assert make_pairs(results) == pairs != make_pairs(results, seed=1)
    few = Counter(frozenset((pair.left, pair.right)) for pair in make_pairs(results, per_storyboard=1))
    assert sum(few.values()) == 12 and max(few.values()) - min(few.values()) <= 1
    with pytest.raises(VotesError, match="the run has no system 'x'; it has a, b, c, truth"):
        make_pairs(results, ["a", "x"])
    with pytest.raises(VotesError, match="at least two systems need a video of one storyboard"):
        make_pairs(results, ["a"])


def test_a_choice_from_several_is_kept_whole_and_the_first_of_a_voter_counts(tmp_path):
    path, four = tmp_path / "v.sqlite", ("a", "b", "c", "d")
    assert read_picks(path) == []
    assert add_pick(path, "shown", "me", Pick(four, "c", "s0"))
    assert not add_pick(path, "shown", "me", Pick(four, "a", "s0"))
    assert add_pick(path, "shown", "you", Pick(four, None, "s0"))
    assert read_picks(path) == [Pick(four, "c", "s0"), Pick(four, None, "s0")]
    assert read_choices(path) == [], "it is no choice between two"
    with pytest.raises(VotesError, match="a choice is one of a, b, c, d or none of them, not 'e'"):
        add_pick(path, "shown", "him", Pick(four, "e", "s0"))
