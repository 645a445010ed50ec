"""Matchups and answers in SQLite: each visitor's once, many visitors at once, nothing after it is uncovered."""

import multiprocessing
import random
from collections import Counter
from itertools import combinations

import pytest

from benchmarks.reporting.arena import QUESTIONS
from benchmarks.reporting.votes import Pair, VotesError
from desk.studio.matchups import Matchups, choose

PAIRS = [Pair(f"s{i}", 0, *two) for i in range(4) for two in combinations("abc", 2)]


@pytest.fixture
def matchups(tmp_path):
    return Matchups(tmp_path / "votes.sqlite")


def judge(path, voter: str) -> None:
    """See every pair and answer all that is asked."""
    matchups, draw = Matchups(path), random.Random(voter)
    while (now := matchups.next(voter, "puppet", PAIRS, draw)) is not None:
        while now.question:
            now = matchups.answer(voter, now.token, now.question, draw.choice(("left", "right", "tie")))
        matchups.uncover(voter, now.token)


def test_votes_of_many_visitors_at_once_are_all_there_and_each_pair_counts_once(matchups):
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=judge, args=(matchups.path, f"voter {i}")) for i in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(300)
    assert [process.exitcode for process in processes] == [0] * 4
    found = matchups.judgements("puppet")
    assert list(found) == list(QUESTIONS)
    for judged in found.values():
        assert Counter(one.pair for one in judged) == {(p.storyboard_id, 0, p.left, p.right): 4 for p in PAIRS}
        assert len({(one.voter, one.pair) for one in judged}) == len(judged)


def test_one_question_after_the_other_and_the_first_answer_stands(matchups):
    now = matchups.next("me", "puppet", PAIRS, random.Random(0))
    assert now.question == "cuts"
    now = matchups.answer("me", now.token, "cuts", "left")
    assert now.question == "characters" and now.answers == {"cuts": "left"}
    assert matchups.answer("me", now.token, "cuts", "right").answers == {"cuts": "left"}
    [judgement] = matchups.judgements("puppet")["cuts"]
    assert (judgement.first, judgement.second, judgement.preferred) == (now.pair.left, now.pair.right, "first")


def test_what_was_begun_comes_back_on_the_same_sides(matchups):
    now = matchups.next("me", "puppet", PAIRS, random.Random(0))
    assert all(matchups.next("me", "puppet", PAIRS, random.Random(i)) == now for i in range(5))
    assert matchups.next("you", "puppet", PAIRS, random.Random(0)).token != now.token


def test_sides_are_drawn_anew_for_each_visitor(matchups):
    sides = {matchups.next(f"v{i}", "puppet", PAIRS[:1], random.Random(i)).pair.left for i in range(20)}
    assert sides == {"a", "b"}


def test_nothing_counts_once_it_is_uncovered(matchups):
    now = matchups.next("me", "puppet", PAIRS, random.Random(0))
    done = matchups.uncover("me", now.token)
    assert done.uncovered and done.question is None
    with pytest.raises(VotesError, match="votes on these two are closed"):
        matchups.answer("me", now.token, "cuts", "left")
    assert matchups.judgements("puppet") == {}
    assert matchups.next("me", "puppet", PAIRS, random.Random(0)).token != now.token


def test_a_pair_is_shown_to_a_visitor_once_and_then_there_is_none(matchups):
    for _ in PAIRS:
        matchups.uncover("me", matchups.next("me", "puppet", PAIRS, random.Random(0)).token)
    turned = [Pair(p.storyboard_id, p.seed, p.right, p.left) for p in PAIRS]
    assert matchups.next("me", "puppet", PAIRS, random.Random(0)) is None
    assert matchups.next("me", "puppet", turned, random.Random(0)) is None, "whichever order the pair has"
    assert matchups.next("me", "other", PAIRS, random.Random(0)) is not None


def test_a_matchup_is_its_visitors_alone(matchups):
    now = matchups.next("me", "puppet", PAIRS, random.Random(0))
    for call in (
        lambda: matchups.answer("you", now.token, "cuts", "left"),
        lambda: matchups.uncover("you", now.token),
        lambda: matchups.find("me", "no such token"),
        lambda: matchups.find("me", None),
    ):
        with pytest.raises(VotesError, match="were not shown to you"):
            call()
    with pytest.raises(VotesError, match="'up' answers no question"):
        matchups.answer("me", now.token, "cuts", "up")
    with pytest.raises(VotesError, match="answers no question of cuts"):
        matchups.answer("me", now.token, "charm", "left")


def test_a_pair_that_is_no_longer_there_is_not_shown_again(matchups):
    matchups.next("me", "puppet", PAIRS[:1], random.Random(0))
    assert matchups.next("me", "puppet", PAIRS[1:2], random.Random(0)).pair.storyboard_id == PAIRS[1].storyboard_id


def test_systems_that_were_compared_least_come_next_and_some_pairs_come_to_a_second_voter():
    pairs = {pair.id: pair for pair in PAIRS}
    judged = {pair.id: 1 for pair in PAIRS if pair.right == "b"}  # all of a against b
    found = [pairs[choose(pairs, judged, set(), random.Random(i))] for i in range(200)]
    again = sum(pair.id in judged for pair in found)
    assert 40 < again < 120
    assert {pair.right for pair in found if pair.id not in judged} == {"c"}
    assert choose(pairs, judged, set(pairs), random.Random(0)) is None
