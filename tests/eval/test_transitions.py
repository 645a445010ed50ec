"""Metrics of transitions, on what a detector could have found."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eval.evidence import Boundary, Detection, Evidence, Footage
from eval.metric import Measured, add_up
from eval.metrics.transitions import METRICS, TOLERANCES
from eval.request import Request, place
from holocine.storyboard import Storyboard

BY_NAME = {metric.name: metric for metric in METRICS}


def board(*lengths: int) -> Storyboard:
    shots = [{"caption": "A street.", "num_frames": length} for length in lengths]
    return Storyboard(global_caption="A town.", shots=shots)


def evidence(
    cuts, storyboard: Storyboard | None = None, num_frames: int | None = None, gradual=(), tells_gradual: bool = True
) -> Evidence:
    """A video with shots that begin at `cuts`, as long as its storyboard if nothing else is said."""
    num_frames = num_frames or (storyboard.num_frames if storyboard else 65)
    blank = np.zeros((num_frames, 27, 48, 3), np.uint8)
    numbers = np.zeros(num_frames)
    footage = Footage("0" * 64, num_frames, 12.0, (112, 64), blank, blank, numbers, numbers)
    boundaries = tuple(
        Boundary(cut, 0.9, "gradual", cut - 3, cut + 3) if cut in gradual else Boundary(cut, 0.9) for cut in cuts
    )
    asked = storyboard and place(Request(storyboard, fps=None), num_frames, footage.fps)
    return Evidence(footage, Detection("a detector 1", num_frames, boundaries, tells_gradual), asked)


def measured(name: str, *args, **kwargs) -> Measured:
    return BY_NAME[name].measure(evidence(*args, **kwargs))


def value(name: str, *args, **kwargs) -> float | None:
    return BY_NAME[name].derive(measured(name, *args, **kwargs).parts)


FOUR = board(17, 16, 16, 16)  # cuts at 17, 33 and 49


def test_a_video_as_asked_for_gets_the_best_value_of_every_metric() -> None:
    best = {"higher": 1, "lower": 0, "none": 0}
    for name, metric in BY_NAME.items():
        assert value(name, FOUR.cuts, FOUR) == best[metric.direction], name


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_without_a_storyboard_there_is_no_value_but_a_reason(metric) -> None:
    nothing = metric.measure(evidence((20, 40)))
    assert (dict(nothing.parts), nothing.covered) == ({}, 0)
    assert nothing.reason == "there is no storyboard, so no cuts were asked for"
    assert metric.derive(nothing.parts) is None


def test_shot_cut_accuracy_is_that_of_its_definition() -> None:
    assert value("sca", (), FOUR) == pytest.approx(math.exp(-3 / 4))
    assert value("sca", (18, 33, 45), FOUR) == pytest.approx(math.exp(-5 / 65))
    assert value("sca", (5, 17, 33, 49), FOUR) == pytest.approx(math.exp(-1 / 4))


def test_a_set_of_videos_has_the_mean_accuracy_of_its_videos() -> None:
    parts = [measured("sca", cuts, FOUR).parts for cuts in ((17, 33, 49), (), (18, 33, 49))]
    mean = BY_NAME["sca"].derive(add_up(parts))
    assert mean == pytest.approx((1 + math.exp(-3 / 4) + math.exp(-1 / 65)) / 3)


def test_tolerance_is_counted_in_frames_both_ways() -> None:
    cuts = (16, 35, 49, 60)  # 1 early, 2 late, exact, extra
    assert [value(f"cut_recall_{t}", cuts, FOUR) for t in TOLERANCES] == pytest.approx([1 / 3, 2 / 3, 1, 1])
    assert [value(f"cut_precision_{t}", cuts, FOUR) for t in TOLERANCES] == pytest.approx([1 / 4, 2 / 4, 3 / 4, 3 / 4])
    assert [value(f"cut_f1_{t}", cuts, FOUR) for t in TOLERANCES] == pytest.approx([2 / 7, 4 / 7, 6 / 7, 6 / 7])


cut_sets = st.sets(st.integers(1, 64), max_size=8).map(sorted)


@given(st.lists(cut_sets, min_size=1, max_size=5), st.sampled_from(TOLERANCES))
def test_f1_of_a_set_is_the_harmonic_mean_of_its_precision_and_recall(videos, tolerance: int) -> None:
    total = {}
    for kind in ("precision", "recall", "f1"):
        metric = BY_NAME[f"cut_{kind}_{tolerance}"]
        total[kind] = metric.derive(add_up([metric.measure(evidence(cuts, FOUR)).parts for cuts in videos]))
    if not any(videos):
        assert (total["precision"], total["recall"], total["f1"]) == (None, 0, 0)
    else:
        both = total["precision"] + total["recall"]
        assert total["f1"] == pytest.approx(2 * total["precision"] * total["recall"] / both if both else 0)


def test_offsets_are_frames_late_or_early_of_the_cuts_that_came() -> None:
    cuts = (15, 37, 49)
    assert value("cut_offset", cuts, FOUR) == pytest.approx(2)
    assert value("cut_signed_offset", cuts, FOUR) == pytest.approx(2 / 3)
    assert measured("cut_offset", (15, 37), FOUR).covered == 2
    assert measured("cut_offset", (15, 37), FOUR).of == 3


def test_a_video_that_never_cuts_has_no_offset_but_a_reason() -> None:
    for name in ("cut_offset", "cut_signed_offset", "gradual_share"):
        nothing = measured(name, (), FOUR)
        assert (nothing.covered, nothing.of) == (0, 3)
        assert nothing.reason == "no detected cut is within 8.125 frames of a requested one"
        assert value(name, (), FOUR) is None
    assert measured("cut_precision_0", (), FOUR).reason == "no cut was detected in the video"
    assert value("cut_recall_0", (), FOUR) == 0


def test_the_shot_count_is_off_in_either_direction() -> None:
    assert value("shot_count_error", (), FOUR) == 3
    assert value("shot_count_error", (9, 17, 25, 33, 49), FOUR) == 2
    assert measured("shot_count_error", (), FOUR).detail == ({"requested": 4, "detected": 1},)


def test_cuts_that_came_out_gradual_are_a_share_of_those_that_came() -> None:
    assert value("gradual_share", (17, 33), FOUR, gradual=(33,)) == pytest.approx(1 / 2)
    assert value("gradual_share", (17, 33, 49), FOUR, gradual=(17, 33, 49)) == 1
    assert measured("gradual_share", (17, 33), FOUR, gradual=(33,)).covered == 2


def test_a_detector_that_knows_cuts_only_gives_no_share_of_gradual_ones() -> None:
    nothing = measured("gradual_share", FOUR.cuts, FOUR, tells_gradual=False)
    assert not nothing.parts
    assert nothing.reason == "a detector 1 does not tell gradual changes from cuts"


def test_one_requested_shot_has_accuracy_and_no_recall() -> None:
    one = board(65)
    assert value("sca", (), one) == 1
    assert value("sca", (30,), one) == pytest.approx(math.exp(-1))
    assert value("cut_recall_0", (30,), one) is None
    assert "one shot" in measured("cut_recall_0", (30,), one).reason
    assert value("cut_precision_0", (30,), one) == 0
    assert value("cut_f1_0", (30,), one) == 0
    assert value("cut_f1_0", (), one) is None
    assert "one shot" in measured("cut_offset", (), one).reason


def test_cuts_after_the_end_of_a_short_video_are_missed_and_not_covered() -> None:
    short = measured("sca", (17,), FOUR, num_frames=33)
    assert (short.covered, short.of) == (1, 3)
    assert BY_NAME["sca"].derive(short.parts) == pytest.approx(math.exp(-2 / 4))
    missed = [entry for entry in short.detail if entry["detected"] is None]
    assert [(entry["requested"], entry["beyond_the_end"]) for entry in missed] == [(33, True), (49, True)]
    assert value("cut_recall_5", (17,), FOUR, num_frames=33) == pytest.approx(1 / 3)


def test_cuts_in_frames_that_nobody_asked_for_are_extra() -> None:
    assert value("sca", (17, 33, 49, 100), FOUR, num_frames=130) == pytest.approx(math.exp(-1 / 4))
    assert value("cut_precision_0", (17, 33, 49, 100), FOUR, num_frames=130) == pytest.approx(3 / 4)


def test_details_name_every_cut_with_its_offset_in_the_order_of_frames() -> None:
    detail = measured("sca", (15, 35, 60), FOUR, gradual=(35,)).detail
    assert detail == (
        {"requested": 17, "detected": 15, "offset": -2, "kind": "cut"},
        {"requested": 33, "detected": 35, "offset": 2, "kind": "gradual", "start": 32, "stop": 38},
        {"requested": 49, "detected": None, "offset": None},
        {"requested": None, "detected": 60, "offset": None, "kind": "cut"},
    )


@settings(max_examples=20)
@given(st.lists(st.tuples(cut_sets, st.integers(20, 90)), min_size=1, max_size=6), st.randoms())
def test_parts_add_up_the_same_in_any_order_and_values_keep_to_their_range(videos, random) -> None:
    shuffled = random.sample(videos, len(videos))
    for metric in METRICS:
        sums = [
            add_up(metric.measure(evidence([c for c in cuts if c < n], FOUR, n)).parts for cuts, n in order)
            for order in (videos, shuffled)
        ]
        assert sums[0] == sums[1]
        shown = metric.derive(sums[0])
        low, high = metric.range
        assert shown is None or ((low is None or shown >= low) and (high is None or shown <= high))
