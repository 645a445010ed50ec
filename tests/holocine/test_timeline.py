"""Frames, latent frames and tokens agree for every timeline."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from holocine.timeline import (
    ShotLayout,
    check_cuts,
    is_snapped,
    latent_frame,
    num_latent_frames,
    snap,
    spread_cuts,
)


@st.composite
def timelines(draw, max_shots=13):
    """A number of frames and cuts, all 4t + 1, and the latent frames of each shot."""
    lengths = draw(st.lists(st.integers(1, 20), min_size=1, max_size=max_shots))
    starts = np.cumsum(lengths)
    cuts = tuple(4 * int(start - 1) + 1 for start in starts[:-1])
    return 4 * int(starts[-1] - 1) + 1, cuts, tuple(lengths)


@pytest.mark.parametrize(
    ("frame", "snapped"),
    [(0, 1), (1, 1), (2, 1), (3, 1), (4, 5), (5, 5), (7, 9), (11, 9), (37, 37), (241, 241), (243, 241)],
)
def test_frames_snap_to_the_nearest_4t_plus_1_and_ties_to_the_even_t(frame, snapped):
    assert snap(frame) == snapped


@given(st.integers(1, 10**6))
def test_snapping_is_idempotent_and_moves_a_frame_by_at_most_two(frame):
    assert is_snapped(snap(frame))
    assert snap(snap(frame)) == snap(frame)
    assert abs(snap(frame) - frame) <= 2


def test_the_first_latent_frame_holds_one_frame_and_each_other_holds_four():
    assert [latent_frame(frame) for frame in range(10)] == [0, 1, 1, 1, 1, 2, 2, 2, 2, 3]


def test_241_frames_at_480p_are_61_latent_frames_of_1560_tokens():
    layout = ShotLayout.from_cuts(241, (37, 73, 113, 169, 205), height=30, width=52)
    assert layout.num_latent_frames == num_latent_frames(241) == 61
    assert layout.tokens_per_frame == 1560
    assert layout.num_tokens == 95_160
    assert layout.shot_lengths == (10, 9, 10, 14, 9, 9)


def test_cuts_are_spread_evenly_on_snapped_frames():
    assert spread_cuts(1, 241) == ()
    assert spread_cuts(5, 241) == (49, 97, 145, 193)
    assert spread_cuts(6, 241) == (41, 81, 121, 161, 201)


def test_where_the_nearest_cuts_are_uneven_shots_differ_by_one_step_of_the_grid():
    assert np.diff((0, *spread_cuts(13, 97), 97)).tolist() == [5, *[8] * 5, 4, *[8] * 6]
    assert np.diff((0, *spread_cuts(5, 97), 97)).tolist() == [17, 20, 20, 20, 20]


@pytest.mark.parametrize(("num_shots", "num_frames"), [(3, 5), (50, 49), (15, 53), (2, 2)])
def test_more_shots_than_latent_frames_cannot_be_spread(num_shots, num_frames):
    with pytest.raises(
        ValueError, match=rf"{num_shots} shots cannot be spread over {num_frames} frames; give more frames"
    ):
        spread_cuts(num_shots, num_frames)


def test_no_shots_cannot_be_spread():
    with pytest.raises(ValueError, match="0 shots: a video has at least 1 shot"):
        spread_cuts(0, 241)


@given(st.integers(1, 40), st.integers(1, 500))
def test_spread_shots_differ_by_at_most_four_frames_wherever_there_is_a_latent_frame_for_each(num_shots, num_frames):
    assume(num_latent_frames(snap(num_frames)) >= num_shots)
    cuts = spread_cuts(num_shots, num_frames)
    lengths = np.diff((0, *cuts, snap(num_frames)))
    assert all(map(is_snapped, cuts)) and len(lengths) == num_shots
    assert lengths.min() >= 1 and lengths.max() - lengths.min() <= 4


@pytest.mark.parametrize(
    ("cuts", "message"),
    [
        ((37, 41, 37, 90), r"shot 4 of 5: cut at frame 37 is not after the previous cut \(frame 41\)"),
        ((9, 9), r"shot 3 of 3: cut at frame 9 is not after the previous cut \(frame 9\)"),
        ((0,), r"shot 2 of 2: cut at frame 0 is not after the first frame of the video \(frame 0\)"),
        ((-4, 9), r"shot 2 of 3: cut at frame -4 is not after the first frame"),
        ((9, 97), r"shot 3 of 3: cut at frame 97 is beyond the end of the video \(97 frames, the last is 96\)"),
    ],
)
def test_cuts_that_make_no_shots_are_errors_that_name_the_shot(cuts, message):
    with pytest.raises(ValueError, match=message):
        check_cuts(cuts, 97)


@given(timelines())
def test_every_latent_frame_and_every_token_has_exactly_one_shot(timeline):
    num_frames, cuts, lengths = timeline
    layout = ShotLayout.from_cuts(num_frames, cuts, height=2, width=3)
    assert layout.shot_lengths == lengths
    assert layout.shot_starts == tuple(latent_frame(start) for start in (0, *cuts))

    owners = np.full(layout.num_tokens, -1)
    for shot, tokens in enumerate(layout.token_slices):
        assert tokens.stop > tokens.start
        assert (owners[tokens] == -1).all()
        owners[tokens] = shot
    assert (owners == np.repeat(layout.shot_ids, layout.tokens_per_frame)).all()


@given(timelines())
def test_a_frame_is_in_the_same_shot_as_its_latent_frame(timeline):
    num_frames, cuts, _ = timeline
    shot_ids = ShotLayout.from_cuts(num_frames, cuts, 1, 1).shot_ids
    for frame in range(num_frames):
        assert shot_ids[latent_frame(frame)] == sum(frame >= cut for cut in cuts)


@pytest.mark.parametrize(
    ("num_frames", "cuts", "message"),
    [
        (240, (), "num_frames 240 is not of the form 4t \\+ 1; the nearest is 241"),
        (241, (38,), "shot 2 of 2: cut at frame 38 is not of the form 4t \\+ 1; the nearest is 37"),
        (241, (37, 37), "shot 3 of 3: cut at frame 37 is not after the previous cut"),
    ],
)
def test_a_layout_takes_snapped_cuts_only(num_frames, cuts, message):
    with pytest.raises(ValueError, match=message):
        ShotLayout.from_cuts(num_frames, cuts, 2, 2)


@pytest.mark.parametrize(
    ("lengths", "size", "message"),
    [
        ((), (2, 2), "at least 1 shot"),
        ((3, 0, 2), (2, 2), "shot 2 of 3: 0 latent frames"),
        ((3,), (0, 2), "0 x 2 tokens is empty"),
    ],
)
def test_an_empty_layout_cannot_exist(lengths, size, message):
    with pytest.raises(ValueError, match=message):
        ShotLayout(lengths, *size)


def test_equal_layouts_are_equal_and_hashable_whatever_sequence_made_them():
    assert len({ShotLayout((3, 2), 2, 2), ShotLayout([3, 2], 2, 2), ShotLayout(tuple(np.array([3, 2])), 2, 2)}) == 1
