import numpy as np
import pytest

from benchmarks.reporting.bradley_terry import Choice, Pick, groups_of, strengths, strengths_by_group


def judged(first: str, second: str, wins: int, losses: int, ties: int = 0, boards: int = 10) -> list[Choice]:
    said = ["first"] * wins + ["second"] * losses + ["tie"] * ties
    return [Choice(first, second, one, f"s{i % boards}") for i, one in enumerate(said)]


def test_known_strengths_are_found_within_their_intervals():
    truth = {"a": 0.9, "b": 0.1, "c": -0.2, "d": -0.8}
    rng, names = np.random.default_rng(4), list(truth)
    choices = []
    for board in range(60):
        for i, first in enumerate(names):
            for second in names[i + 1 :]:
                for _ in range(3):
                    p = 1 / (1 + np.exp(truth[second] - truth[first]))
                    choices.append(Choice(first, second, "first" if rng.random() < p else "second", f"s{board}"))
    found = {one.system: one for one in strengths(choices)}
    assert list(found) == names, "strongest first"
    for name, score in truth.items():
        assert found[name].score == pytest.approx(score, abs=0.2)
        assert found[name].low < score < found[name].high and found[name].high - found[name].low < 0.7
        assert found[name].votes == 60 * 3 * 3
    assert sum(one.score for one in found.values()) == pytest.approx(0, abs=1e-9)


def test_two_systems_by_hand():
    a, b = strengths(judged("a", "b", 30, 10))
    assert (a.system, a.won, a.votes) == ("a", 0.75, 40)
    assert a.score - b.score == pytest.approx(np.log(30.5 / 10.5), abs=1e-6), "with the one tie that is added"
    c, d = strengths(judged("c", "d", 10, 10, ties=7))
    assert c.score == pytest.approx(d.score) and c.won == d.won == 0.5
    tied = strengths(judged("a", "b", 20, 0, ties=20))
    assert tied[0].score - tied[1].score == pytest.approx(np.log(30.5 / 10.5), abs=1e-6), "a tie is half a choice each"


def test_which_side_it_was_on_does_not_matter():
    turned = {"first": "second", "second": "first", "tie": "tie"}
    choices = judged("a", "b", 12, 5, 3) + judged("b", "c", 9, 6)
    others = [Choice(c.second, c.first, turned[c.preferred], c.storyboard_id) for c in reversed(choices)]
    for one, other in zip(strengths(choices), strengths(others), strict=True):
        assert (one.system, one.votes) == (other.system, other.votes)
        assert (one.score, one.low, one.high) == pytest.approx((other.score, other.low, other.high))


def test_who_won_every_time_is_first_with_a_finite_score():
    best, worst = strengths(judged("a", "b", 50, 0))
    assert best.system == "a" and 1 < best.score < 10 and worst.score == pytest.approx(-best.score)


def test_one_storyboard_gives_no_interval_and_no_votes_give_nothing():
    assert {(one.low, one.high) for one in strengths(judged("a", "b", 3, 2, boards=1))} == {(None, None)}
    assert strengths([]) == []


def test_groups_that_never_met_are_named():
    with pytest.raises(ValueError, match="never compared, so they have no common scale: a, b; c, d"):
        strengths(judged("a", "b", 3, 2) + judged("c", "d", 1, 1))


def test_a_choice_among_four_is_one_choice_and_not_three_wins():
    """Four systems of known strengths, chosen as often as Luce's axiom says."""
    truth = {"a": 0.9, "b": 0.3, "c": -0.3, "d": -0.9}
    names, odds = tuple(truth), np.exp(list(truth.values()))
    rng = np.random.default_rng(7)
    picks = [Pick(names, names[i], f"s{n % 50}") for n, i in enumerate(rng.choice(4, size=4000, p=odds / odds.sum()))]
    found = {one.system: one for one in strengths(picks)}
    for name, score in truth.items():
        assert found[name].score == pytest.approx(score, abs=0.15) and found[name].low < score < found[name].high
        assert found[name].votes == 4000
    assert sum(one.won for one in found.values()) == pytest.approx(1)


def test_a_pick_of_two_is_a_choice_of_two_and_none_is_a_tie():
    choices = judged("a", "b", 12, 5, 3)
    picks = [Pick(("b", "a"), choice.chosen, choice.storyboard_id) for choice in choices]
    assert strengths(picks) == strengths(choices)
    four = strengths([Pick(("a", "b", "c", "d"), None, f"s{i}") for i in range(8)])
    assert [(one.score, one.won) for one in four] == [(pytest.approx(0), 0.25)] * 4


def test_pairs_and_picks_of_more_are_on_one_scale():
    mixed = [*judged("a", "b", 9, 3), *(Pick(("b", "c", "d"), "b", f"s{i}") for i in range(9))]
    assert [one.system for one in strengths(mixed)] == ["a", "b", "c", "d"]


def test_groups_that_never_met_have_scales_of_their_own():
    choices = judged("c", "d", 1, 1) + judged("a", "b", 3, 2) + [Pick(("b", "e", "f"), "e", "s0")]
    assert groups_of(choices) == [("a", "b", "e", "f"), ("c", "d")]
    first, second = strengths_by_group(choices)
    assert {one.system for one in first} == set("abef") and {one.system for one in second} == set("cd")
    assert strengths_by_group([]) == []
