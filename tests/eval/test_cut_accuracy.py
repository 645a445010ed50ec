from __future__ import annotations

import math
from itertools import combinations

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from eval.cut_accuracy import match, match_cuts, mean_shot_length, shot_cut_accuracy
from holocine.storyboard import Storyboard


def board(*lengths: int) -> Storyboard:
    """A storyboard of shots that last `lengths` frames."""
    shots = [{"caption": "A street.", "num_frames": length} for length in lengths]
    return Storyboard(global_caption="A town.", shots=shots)


# The first shot of 4t + 1 frames and the others of 4t make a video that nothing is rounded in.
lengths = st.lists(st.integers(2, 12), min_size=1, max_size=7).map(
    lambda ts: [4 * t + (not i) for i, t in enumerate(ts)]
)
boards = lengths.map(lambda ls: board(*ls))
cuts = st.sets(st.integers(1, 300), max_size=12).map(sorted)


def least_cost(requested, detected, gate: float, penalty: float) -> float:
    """Least cost over every one-to-one matching, by trying all sets of pairs."""
    pairs = [(a, b) for a in requested for b in detected if abs(a - b) <= gate]
    best = math.inf
    for size in range(min(len(requested), len(detected)) + 1):
        for chosen in combinations(pairs, size):
            if len({a for a, _ in chosen}) == len({b for _, b in chosen}) == size:
                alone = len(requested) + len(detected) - 2 * size
                best = min(best, sum(abs(a - b) for a, b in chosen) + penalty * alone)
    return best


@given(boards)
def test_cuts_on_their_frames_are_perfect(storyboard: Storyboard) -> None:
    assert shot_cut_accuracy(storyboard, storyboard.cuts) == 1


@given(boards)
def test_a_video_that_never_cuts_has_the_accuracy_of_its_missed_shots(storyboard: Storyboard) -> None:
    n = storyboard.num_shots
    assert shot_cut_accuracy(storyboard, ()) == pytest.approx(math.exp(-(n - 1) / n))


def test_published_baselines_that_rarely_cut_are_about_where_never_cutting_is() -> None:
    assert shot_cut_accuracy(board(17, 16, 16), ()) == pytest.approx(0.513, abs=1e-3)
    assert shot_cut_accuracy(board(17, 16, 16, 16, 16), ()) == pytest.approx(0.449, abs=1e-3)


@given(boards, cuts)
def test_accuracy_is_above_0_and_at_most_1(storyboard: Storyboard, detected: list[int]) -> None:
    value = shot_cut_accuracy(storyboard, detected)
    assert 0 < value <= 1
    assert (value == 1) == (tuple(detected) == storyboard.cuts)


@given(boards, st.data())
def test_accuracy_falls_with_every_frame_that_a_cut_is_off(storyboard: Storyboard, data: st.DataObject) -> None:
    assume(storyboard.num_shots > 1)
    moved = data.draw(st.sampled_from(storyboard.cuts))
    others = [cut for cut in storyboard.cuts if cut != moved]
    free = [k for k in range(int(mean_shot_length(storyboard) / 2) + 1) if moved + k not in others]
    values = [shot_cut_accuracy(storyboard, sorted([*others, moved + k])) for k in free]
    assert values == sorted(values, reverse=True)
    assert values[0] == 1
    assert len(set(values)) > 1 or len(free) == 1


@given(boards, st.data())
def test_accuracy_falls_with_every_missed_and_with_every_extra_cut(storyboard: Storyboard, data: st.DataObject) -> None:
    order = data.draw(st.permutations(storyboard.cuts))
    values = [shot_cut_accuracy(storyboard, sorted(order[dropped:])) for dropped in range(len(order) + 1)]
    assert values == sorted(set(values), reverse=True)
    far = range(1000, 1000 + 5)
    values = [shot_cut_accuracy(storyboard, (*storyboard.cuts, *far[:extra])) for extra in range(5)]
    ratio = math.exp(-1 / storyboard.num_shots)
    assert values == pytest.approx([ratio**extra for extra in range(5)])


@given(boards, cuts, st.integers(1, 9))
def test_shifting_requested_and_detected_cuts_together_changes_no_pair(storyboard, detected, shift) -> None:
    length = mean_shot_length(storyboard)
    there = match(storyboard.cuts, detected, length / 2, length)
    moved = match([c + shift for c in storyboard.cuts], [c + shift for c in detected], length / 2, length)
    assert moved.pairs == tuple((a + shift, b + shift) for a, b in there.pairs)


@given(boards, cuts)
def test_early_and_late_cost_the_same(storyboard: Storyboard, detected: list[int]) -> None:
    length = mean_shot_length(storyboard)
    there = match(storyboard.cuts, detected, length / 2, length)
    mirrored = match(sorted(-c for c in storyboard.cuts), sorted(-c for c in detected), length / 2, length)
    assert sorted(map(abs, there.deviations)) == sorted(map(abs, mirrored.deviations))


small_sets = st.sets(st.integers(0, 25), max_size=4).map(sorted)


@example([0], [7], 8, 3.0)
@given(small_sets, small_sets, st.sampled_from((0, 1.5, 4, 8, 30)), st.sampled_from((3.0, 9.5, 16)))
def test_no_other_matching_costs_less(requested, detected, gate: float, penalty: float) -> None:
    matching = match(requested, detected, gate, penalty)
    cost = sum(map(abs, matching.deviations)) + penalty * (len(matching.missed) + len(matching.extra))
    assert cost == pytest.approx(least_cost(requested, detected, gate, penalty))


@given(small_sets, small_sets, st.sampled_from((0, 1, 2, 5)))
def test_without_a_penalty_as_many_pairs_as_possible_are_made(requested, detected, gate: int) -> None:
    matching = match(requested, detected, gate)
    alone = len(matching.missed) + len(matching.extra)
    assert 1000 * alone + sum(map(abs, matching.deviations)) == least_cost(requested, detected, gate, 1000)


@given(cuts, cuts, st.sampled_from((0, 1, 5, 40.5)))
def test_every_cut_is_in_one_place_and_pairs_are_in_reach_and_never_cross(requested, detected, gate) -> None:
    matching = match(requested, detected, gate)
    assert sorted([*(a for a, _ in matching.pairs), *matching.missed]) == requested
    assert sorted([*(b for _, b in matching.pairs), *matching.extra]) == detected
    assert all(abs(a - b) <= gate for a, b in matching.pairs)
    assert [b for _, b in matching.pairs] == sorted(b for _, b in matching.pairs)


def test_a_pair_may_be_half_the_mean_shot_length_apart_and_no_further() -> None:
    storyboard = board(17, 16, 16, 16)  # 65 frames, 16.25 a shot
    assert match_cuts(storyboard, (25, 33, 49)).deviations == (8, 0, 0)
    assert match_cuts(storyboard, (33, 49, 58)).missed == (17,)
    assert match_cuts(storyboard, (33, 49, 58)).extra == (58,)
    assert shot_cut_accuracy(storyboard, (25, 33, 49)) == pytest.approx(math.exp(-8 / 65))
    assert shot_cut_accuracy(storyboard, (33, 49, 58)) == pytest.approx(math.exp(-2 / 4))


def test_two_cuts_near_one_requested_are_a_pair_and_an_extra_one() -> None:
    matching = match((17,), (15, 18), gate=8)
    assert (matching.pairs, matching.missed, matching.extra) == (((17, 18),), (), (15,))


def test_with_one_shot_only_extra_cuts_count() -> None:
    assert shot_cut_accuracy(board(33), ()) == 1
    assert shot_cut_accuracy(board(33), (9, 20)) == pytest.approx(math.exp(-2))
