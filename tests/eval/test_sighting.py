"""Who is seen in which shot, from figures that fit descriptions by known amounts."""

import numpy as np
import pytest

from eval.sighting import FRAMES_A_SHOT, Candidate, Look, given_boxes, looked_at, settle

ONE, TWO = "[character1]", "[character2]"
SHOTS = [range(0, 6), range(6, 12), range(12, 18)]
BOX = (0.0, 0.0, 10.0, 10.0)


def figure(one: float, two: float, **more) -> Candidate:
    return Candidate(BOX, {ONE: one, TWO: two}, vector=np.array([1.0, 0.0]), **more)


def look(*shots: list[Candidate], frames=range(0, 18, 2)) -> Look:
    """The same figures in every frame of a shot that was looked at."""
    return Look("test", (ONE, TWO), {frame: shots[frame // 6] for frame in frames}, seen_from=0.5, sure_from=0.75)


def seen(found: Look, asked) -> list[set[str]]:
    return [set(who) for who in settle(found, SHOTS, asked).seen]


def test_a_figure_goes_to_the_character_that_it_fits():
    found = look([figure(0.9, 0.3)], [figure(0.2, 0.9)], [figure(0.9, 0.2), figure(0.1, 0.8)])
    assert seen(found, [(ONE,), (TWO,), (ONE, TWO)]) == [{ONE}, {TWO}, {ONE, TWO}]


def test_one_trait_that_is_off_is_still_the_character_that_was_asked_for():
    found = look([figure(0.95, 0.3)], [figure(0.65, 0.62)], [figure(0.95, 0.3)])
    assert seen(found, [(ONE,)] * 3) == [{ONE}] * 3


def test_another_character_to_the_letter_is_that_one_and_not_the_one_asked_for():
    found = look([figure(0.95, 0.3)], [figure(0.65, 0.95)], [figure(0.95, 0.3)])
    assert seen(found, [(ONE,)] * 3) == [{ONE}, {TWO}, {ONE}]


def test_a_stranger_who_shares_two_traits_is_nobody_if_the_character_is_nowhere_as_described():
    found = look(*[[figure(0.66, 0.3)]] * 3)
    settled = settle(found, SHOTS, [(ONE,)] * 3)
    assert [set(who) for who in settled.seen] == [set()] * 3
    assert settled.boxes == {} and settled.vectors == {}
    assert all(len(boxes) == 1 for boxes in settled.figures.values()), "a stranger is still a figure"


def test_a_figure_stands_for_one_character_only():
    found = look([figure(0.9, 0.85)], [figure(0.9, 0.2)], [figure(0.1, 0.9)])
    assert seen(found, [(ONE, TWO), (ONE,), (TWO,)])[0] == {ONE}


def test_a_character_found_in_one_frame_of_many_is_not_seen():
    frames = {frame: [figure(0.9, 0.2)] if frame in (0, 2, 4, 6) else [] for frame in range(0, 18, 2)}
    frames |= {frame: [] for frame in (7, 9, 11)}
    settled = settle(Look("test", (ONE, TWO), frames, 0.5, 0.75), SHOTS, [(ONE,)] * 3)
    assert [set(who) for who in settled.seen] == [{ONE}, set(), set()]
    assert settled.shares[1][ONE] == pytest.approx(1 / 6)


def test_a_shot_of_which_no_frame_was_looked_at_is_not_judged():
    settled = settle(look([figure(0.9, 0.1)], [], [], frames=(0, 2, 4)), SHOTS, [(ONE,)] * 3)
    assert settled.seen[1:] == settled.shares[1:] == (None, None)


def test_who_is_seen_from_behind_is_seen_but_not_compared():
    found = look(*[[Candidate(BOX, {ONE: 0.9, TWO: 0.1}, shows_looks=False)]] * 3)
    settled = settle(found, SHOTS, [(ONE,)] * 3)
    assert [set(who) for who in settled.seen] == [{ONE}] * 3
    assert settled.vectors == {} and set(settled.boxes[ONE]) == set(range(0, 18, 2))


def test_a_few_frames_of_every_shot_are_looked_at():
    sampled = np.arange(0, 100, 2)
    chosen = looked_at(sampled, [range(0, 40), range(40, 44), range(44, 200)])
    assert set(chosen) <= set(sampled)
    assert [sum(f in shot for f in chosen) for shot in (range(40), range(40, 44), range(44, 200))] == [
        FRAMES_A_SHOT,
        2,
        FRAMES_A_SHOT,
    ]
    assert chosen[0] == 0 and chosen[-1] == 98
    assert len(looked_at(sampled, [])) == 17


def test_given_boxes_say_in_which_shots_a_character_is():
    found = given_boxes({ONE: {0: BOX, 13: BOX}, TWO: {7: BOX}}, SHOTS)
    assert [set(who) for who in found.seen] == [{ONE}, {TWO}, {ONE}]
    assert found.figures == {0: [BOX], 13: [BOX], 7: [BOX]}
