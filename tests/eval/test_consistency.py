from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from eval.evidence import Boundary, Detection, Embeddings, Evidence, Footage
from eval.metric import Measured, add_up
from eval.metrics.consistency import METRICS
from eval.request import Request, place
from holocine.storyboard import Storyboard

SUBJECT, BACKGROUND = METRICS


def evidence(vectors: np.ndarray, frames=None, cuts=(), num_frames=None, boundaries=None, **missing) -> Evidence:
    """Evidence whose DINO and CLIP embeddings are `vectors` at `frames`, every frame by default."""
    frames = np.arange(len(vectors)) if frames is None else np.asarray(frames)
    total = num_frames or len(vectors)
    blank = np.zeros((total, 16, 16, 3), np.uint8)
    footage = Footage("0", total, 8.0, (16, 16), blank, blank, np.zeros(total), np.zeros(total))
    found = tuple(Boundary(cut, 0.9) for cut in cuts) if boundaries is None else boundaries
    embeddings = Embeddings("test", frames, np.asarray(vectors, np.float32))
    return Evidence(footage, Detection("test", total, found), clip=embeddings, dino=embeddings)


def turned(*degrees: float) -> np.ndarray:
    radians = np.radians(degrees)
    return np.stack([np.cos(radians), np.sin(radians)], 1)


def value(measured: Measured) -> float | None:
    return SUBJECT.derive(measured.parts)


def test_it_is_vbenchs_mean_of_the_cosines_to_the_frame_before_and_to_the_first() -> None:
    cosine = np.cos(np.radians([30, 50, 80]))
    expected = ((cosine[0] + cosine[0]) / 2 + (cosine[1] + cosine[2]) / 2) / 2
    for metric in METRICS:
        assert metric.derive(metric.measure(evidence(turned(0, 30, 80))).parts) == pytest.approx(expected)


def test_opposite_frames_count_as_zero_and_not_less() -> None:
    assert value(SUBJECT.measure(evidence(turned(0, 180)))) == 0


def test_rounding_does_not_make_a_still_picture_more_than_steady() -> None:
    rounded = {"sum": 24 * (1 + 7e-9), "count": 24}
    assert SUBJECT.derive(rounded) > 1
    assert SUBJECT.value_of(rounded) == 1
    assert SUBJECT.value_of({"sum": -1e-9, "count": 1}) == 0
    assert SUBJECT.value_of({"sum": 1.1, "count": 1}) == 1.1  # a fault, which is not hidden


def test_a_cut_is_not_held_against_a_shot() -> None:
    measured = SUBJECT.measure(evidence(turned(0, 0, 0, 90, 90), cuts=(3,)))
    assert value(measured) == pytest.approx(1)
    assert measured.parts["count"] == 3
    assert [shot["value"] for shot in measured.detail] == pytest.approx([1, 1])
    assert value(SUBJECT.measure(evidence(turned(0, 0, 0, 90, 90)))) < 0.7


def test_frames_of_a_gradual_change_belong_to_neither_shot() -> None:
    dissolve = (Boundary(3, 0.8, "gradual", 2, 4),)
    assert value(SUBJECT.measure(evidence(turned(0, 0, 40, 50, 90, 90), boundaries=dissolve))) == pytest.approx(1)


def test_a_change_that_was_asked_for_and_not_found_is_held_against_no_shot() -> None:
    """A second of dissolve between two shots of 12 frames at 8 a second, in which the detector finds nothing."""
    vectors = turned(*[0] * 8, *range(10, 90, 10), *[90] * 8)
    storyboard = Storyboard.from_captions("Two shots.", ["One.", "Another."], 24, [12], fps=8)
    seen = evidence(vectors)
    asked = replace(seen, asked=place(Request.of(storyboard), 24, 8.0))
    assert value(SUBJECT.measure(asked)) == pytest.approx(1)
    assert SUBJECT.measure(asked).parts["count"] == 14, "no frame across the cut, nor half a second around it"
    assert value(SUBJECT.measure(seen)) < 0.8, "nobody asked for this change"
    found = replace(evidence(vectors, cuts=(13,)), asked=asked.asked)
    assert SUBJECT.measure(found).parts == SUBJECT.measure(evidence(vectors, cuts=(13,))).parts


def test_it_covers_the_frames_of_shots_with_two_sampled_frames() -> None:
    measured = SUBJECT.measure(evidence(turned(0, 0, 90), frames=(0, 4, 12), cuts=(10,), num_frames=16))
    assert (measured.covered, measured.of) == (10, 16)


def test_parts_of_videos_add_up_frame_by_frame() -> None:
    long, short = evidence(turned(*[0] * 9)), evidence(turned(0, 60))
    parts = add_up([SUBJECT.measure(long).parts, SUBJECT.measure(short).parts])
    assert SUBJECT.derive(parts) == pytest.approx((8 * 1 + 0.5) / 9)


def test_embeddings_that_are_no_numbers_are_left_out() -> None:
    vectors = turned(0, 0, 0, 0)
    vectors[1] = np.nan
    measured = SUBJECT.measure(evidence(vectors))
    assert value(measured) == pytest.approx(1)
    assert measured.parts["count"] == 2


def test_without_an_encoder_it_is_absent_for_the_stated_reason() -> None:
    seen = evidence(turned(0, 0))
    bare = Evidence(seen.footage, seen.detection, missing={"dino": "DINO's weights are not here"})
    measured = SUBJECT.measure(bare)
    assert value(measured) is None
    assert measured.reason == "DINO's weights are not here"
    assert BACKGROUND.measure(bare).reason


def test_single_frames_are_absent_and_not_zero() -> None:
    for one in (evidence(turned(0)), evidence(turned(0, 10), cuts=(1,))):
        measured = SUBJECT.measure(one)
        assert value(measured) is None
        assert measured.reason == "no detected shot has two sampled frames"
