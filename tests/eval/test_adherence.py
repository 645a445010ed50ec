"""Text and video on vectors whose similarities are known."""

from dataclasses import replace

import numpy as np
import pytest

from eval.evidence import Detection, Embeddings, Evidence, Footage, TextEmbeddings
from eval.metric import add_up
from eval.metrics.adherence import METRICS, similarities
from eval.request import Request, place
from holocine import Storyboard

METRIC = {metric.name: metric for metric in METRICS}
CUTS = [9, 25]
A, B, C, D = np.eye(4, dtype=np.float32)


def make_evidence(shots, texts, whole=A, cuts=CUTS):
    num_frames = 33
    storyboard = Storyboard.from_captions("A street.", [f"Shot {i}." for i in range(len(shots))], num_frames, cuts)
    footage = Footage(
        sha256="0" * 64,
        num_frames=num_frames,
        fps=16.0,
        size=(4, 4),
        thumbnails=np.zeros((num_frames, 27, 48, 3), np.uint8),
        pictures=np.zeros((num_frames, 4, 4, 3), np.uint8),
        sharpness=np.zeros(num_frames),
        clipped=np.zeros(num_frames),
    )
    numbers = np.arange(0, num_frames, 2)
    vectors = np.array(shots, np.float32)[np.searchsorted(cuts, numbers, side="right")]
    return Evidence(
        footage=footage,
        detection=Detection("test", num_frames, ()),
        asked=storyboard and place(Request(storyboard, fps=None), footage.num_frames, footage.fps),
        clip=Embeddings("test", numbers, vectors),
        text=TextEmbeddings("test", whole, np.array(texts, np.float32)),
    )


def value(name, evidence):
    measured = METRIC[name].measure(evidence)
    return METRIC[name].derive(measured.parts) if measured.parts else None


def test_each_shot_is_compared_with_its_own_caption():
    evidence = make_evidence([A, B, C], [A, B, D])
    assert value("text_shot", evidence) == pytest.approx(2 / 3)
    assert [row["value"] for row in METRIC["text_shot"].measure(evidence).detail] == pytest.approx([1, 1, 0])


def test_the_video_is_the_mean_direction_of_its_frames():
    evidence = make_evidence([A, A, B], [A, A, B], whole=A)
    counts = [sum(evidence.clip.frames < 25), sum(evidence.clip.frames >= 25)]
    assert value("text_video", evidence) == pytest.approx(counts[0] / np.hypot(*counts))


def test_the_right_captions_beat_swapped_ones():
    right, swapped = make_evidence([A, B, C], [A, B, C]), make_evidence([A, B, C], [B, A, C])
    assert value("text_shot", right) > value("text_shot", swapped)
    assert value("shot_retrieval", right) == 1
    assert value("shot_retrieval", swapped) == pytest.approx(1 / 3)


def test_retrieval_stands_beside_chance():
    parts = METRIC["shot_retrieval"].measure(make_evidence([A, B, C], [B, C, A])).parts
    assert parts == {"right": 0, "count": 3, "chance": pytest.approx(1)}
    assert METRIC["shot_retrieval_above_chance"].derive(parts) == pytest.approx(-0.5)


def test_shots_with_one_and_the_same_caption_are_told_apart_by_chance_only():
    evidence = make_evidence([A, B, C], [A, A, A])
    assert value("shot_retrieval", evidence) == pytest.approx(1 / 3)
    assert value("shot_retrieval_above_chance", evidence) == pytest.approx(0)


def test_a_single_shot_has_no_retrieval():
    measured = METRIC["shot_retrieval"].measure(make_evidence([A], [A], cuts=[]))
    assert measured.parts == {} and "one shot" in measured.reason


def test_a_shot_without_frames_is_not_covered_and_has_no_value():
    evidence = make_evidence([A, B, C], [A, B, C])
    short = replace(evidence, clip=Embeddings("test", evidence.clip.frames[:10], evidence.clip.vectors[:10]))
    measured = METRIC["text_shot"].measure(short)
    assert (measured.covered, measured.of) == (2, 3)
    assert measured.detail[2] == {"shot": 3, "value": None}
    assert np.isnan(similarities(short)[2]).all()
    retrieval = METRIC["shot_retrieval"].measure(short)
    assert (retrieval.covered, retrieval.parts["chance"]) == (2, pytest.approx(2 / 3))


@pytest.mark.parametrize("field", ["asked", "clip", "text"])
def test_what_is_missing_is_the_reason(field):
    evidence = replace(make_evidence([A, B, C], [A, B, C]), **{field: None}, missing={field: f"no {field} because"})
    for metric in METRICS:
        measured = metric.measure(evidence)
        assert (measured.parts, measured.reason) == ({}, f"no {field} because")


def test_videos_add_up_shot_by_shot():
    one, two = make_evidence([A, B, C], [A, B, C]), make_evidence([A, B], [A, A], cuts=[17])
    parts = add_up(METRIC["text_shot"].measure(evidence).parts for evidence in (one, two))
    assert METRIC["text_shot"].derive(parts) == pytest.approx(4 / 5)
    parts = add_up(METRIC["shot_retrieval"].measure(evidence).parts for evidence in (one, two))
    # Both captions of the second video fit its shots alike.
    assert METRIC["shot_retrieval"].derive(parts) == pytest.approx(4 / 5)
    assert parts["chance"] == pytest.approx(2)
