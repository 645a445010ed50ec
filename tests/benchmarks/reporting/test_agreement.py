"""Agreement of simulated voters whose strengths, care and taste are known."""

from itertools import combinations

import numpy as np
import pytest

from benchmarks.reporting.agreement import Judgement, between_voters, wilson, with_metric
from benchmarks.reporting.bradley_terry import strengths

TRUTH = {"a": 1.2, "b": 0.4, "c": -0.4, "d": -1.2}


def voted(rng, boards=40, voters=3, care=1.0, ties=0.0) -> list[Judgement]:
    """Every pair of every storyboard by every voter: Bradley and Terry's chances, `care` 0 for a coin."""
    found = []
    for board in range(boards):
        for first, second in combinations(TRUTH, 2):
            for voter in range(voters):
                sides = (first, second) if rng.random() < 0.5 else (second, first)
                p = 1 / (1 + np.exp(care * (TRUTH[sides[1]] - TRUTH[sides[0]])))
                said = "tie" if rng.random() < ties else "first" if rng.random() < p else "second"
                found.append(Judgement(f"v{voter}", f"s{board}", 0, *sides, said))
    return found


def one(voter: str, said: str, first="a", second="b", board="s0") -> Judgement:
    return Judgement(voter, board, 0, first, second, said)


# Voters with one another


def test_strengths_of_simulated_voters_are_those_that_made_their_votes():
    found = {each.system: each for each in strengths([vote.choice for vote in voted(np.random.default_rng(1))])}
    for system, score in TRUTH.items():
        assert found[system].score == pytest.approx(score, abs=0.3)
        assert found[system].low < score < found[system].high


def test_voters_who_always_agree_have_one_and_voters_who_guess_have_none():
    same = [one(f"v{v}", ("first", "second")[b % 2], board=f"s{b}") for b in range(20) for v in range(3)]
    found = between_voters(same)
    assert found.alpha == found.low == found.high == found.same == 1 and (found.pairs, found.votes) == (20, 60)
    guessed = between_voters(voted(np.random.default_rng(2), care=0))
    assert guessed.low < 0 < guessed.high and abs(guessed.alpha) < 0.1 and guessed.same == pytest.approx(0.5, abs=0.05)


def test_the_more_care_the_more_agreement():
    alphas = [between_voters(voted(np.random.default_rng(3), care=care)).alpha for care in (0.0, 1.0, 3.0)]
    assert alphas == sorted(alphas) and alphas[-1] > 0.6


def test_everyone_for_the_same_side_is_agreement_and_the_names_of_systems_do_not_matter():
    """Every vote is for the first: without the mirror image there would be nothing to expect by chance."""
    votes = [one(f"v{v}", "first", board=f"s{b}") for b in range(5) for v in range(2)]
    assert between_voters(votes).alpha == 1
    renamed = [Judgement(v.voter, v.storyboard_id, v.seed, "z", "b", v.preferred) for v in votes]
    assert between_voters(renamed) == between_voters(votes)


def test_alpha_by_hand():
    """Pairs (1, 1) and (1, -1): observed (0 + 8) / 4, expected 4 * 4 / 7."""
    votes = [one("x", "first"), one("y", "first"), one("x", "first", board="s1"), one("y", "second", board="s1")]
    found = between_voters(votes)
    assert found.alpha == pytest.approx(1 - 2 / (16 / 7)) and found.same == 0.5


def test_a_tie_is_nearer_to_a_vote_than_the_opposite_vote_is():
    agreed = [one(v, "first", board=f"s{b}") for b in range(6) for v in "xy"]
    tied = between_voters([*agreed, one("x", "first", board="t"), one("y", "tie", board="t")])
    opposed = between_voters([*agreed, one("x", "first", board="t"), one("y", "second", board="t")])
    assert opposed.alpha < tied.alpha < 1


def test_which_side_a_video_was_on_does_not_matter():
    turned = {"first": "second", "second": "first", "tie": "tie"}
    votes = voted(np.random.default_rng(4), ties=0.2)
    other = [Judgement(v.voter, v.storyboard_id, v.seed, v.second, v.first, turned[v.preferred]) for v in votes]
    assert between_voters(votes) == between_voters(other)
    assert with_metric(votes, lambda s, *_: TRUTH[s], "higher") == with_metric(other, lambda s, *_: TRUTH[s], "higher")


def test_pairs_of_one_voter_and_nothing_but_ties_are_no_agreement():
    assert between_voters([]) is None
    assert between_voters([one("x", "first"), one("x", "second", board="s1")]) is None
    assert between_voters([one("x", "tie"), one("y", "tie")]) is None
    found = between_voters([one("x", "first"), one("y", "first")])
    assert (found.alpha, found.low, found.high) == (1, None, None), "one pair has no interval"


# Voters with a metric


def test_a_metric_that_knows_the_strengths_agrees_and_one_turned_round_disagrees_as_much():
    votes = voted(np.random.default_rng(5), voters=9, care=2.0)
    good = with_metric(votes, lambda system, *_: TRUTH[system], "higher")
    bad = with_metric(votes, lambda system, *_: TRUTH[system], "lower")
    assert good.share > 0.9 and good.low > 0.8 and good.pairs == 240
    assert bad.share == pytest.approx(1 - good.share) and bad.high < 0.2


def test_a_metric_that_guesses_is_a_coin_within_its_interval():
    rng = np.random.default_rng(6)
    values = {(s, f"s{b}", 0): rng.random() for s in TRUTH for b in range(40)}
    found = with_metric(voted(rng), lambda *video: values[video], "higher")
    assert found.low < 0.5 < found.high and found.high - found.low < 0.3


def test_divided_voters_and_videos_without_a_value_are_left_out_and_equal_values_count_half():
    divided = [one("x", "first"), one("y", "second")]
    assert with_metric(divided, lambda system, *_: TRUTH[system], "higher") is None
    votes = [one("x", "first"), one("x", "first", "c", "d")]
    known = {"a": 1.0, "b": 0.5, "c": 1.0, "d": None}
    assert with_metric(votes, lambda system, *_: known[system], "higher").pairs == 1
    level = with_metric(votes, lambda *_: 0.5, "higher")
    assert level.share == 0.5 and level.pairs == 2


def test_a_pair_counts_once_however_many_judged_it():
    votes = [one(f"v{i}", "first") for i in range(50)] + [one("v0", "second", board="s1")]
    found = with_metric(votes, lambda system, *_: TRUTH[system], "higher")
    assert (found.share, found.pairs) == (0.5, 2)


def test_pairs_of_one_storyboard_that_go_together_widen_the_interval():
    """Ten storyboards of six pairs, in each of which all are right or all wrong, against the same share spread out."""
    together, spread = [], []
    for board in range(10):
        for number, (first, second) in enumerate(combinations(TRUTH, 2)):
            together.append(one("v", "first" if board < 5 else "second", first, second, f"s{board}"))
            spread.append(one("v", "first" if (number + board) % 2 else "second", first, second, f"s{board}"))
    wide, narrow = (with_metric(votes, lambda s, *_: TRUTH[s], "higher") for votes in (together, spread))
    assert wide.share == narrow.share == 0.5
    assert wide.high - wide.low > 1.8 * (narrow.high - narrow.low)


def test_intervals_of_shares_stay_within_what_a_share_can_be():
    assert wilson(0.5, 100) == (pytest.approx(0.4038, abs=1e-3), pytest.approx(0.5962, abs=1e-3))
    low, high = wilson(1.0, 3)
    assert 0 < low < 0.5 and high == 1
    assert wilson(0.0, 3) == (0, pytest.approx(1 - low))
