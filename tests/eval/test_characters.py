"""Character consistency on vectors whose similarities are known."""

import numpy as np
import pytest

from eval.evidence import Boundary, Detection, Embeddings, Evidence, Footage
from eval.metric import add_up
from eval.metrics.characters import METRICS, by_distance
from eval.request import Request, place
from holocine import Storyboard

METRIC = {metric.name: metric for metric in METRICS}
A, B, C = np.eye(3)


def make_evidence(captions, looks, cuts=None, crops=None, clip=True, frames_a_shot=8):
    """A video of equally long shots whose every frame has the vector of its shot; detected cuts are the asked ones."""
    num_frames = len(captions) * frames_a_shot + 1
    planned = [i * frames_a_shot + 1 for i in range(1, len(captions))]
    cast = "[character1] is a man. [character2] is a cat."
    storyboard = Storyboard.from_captions(cast, captions, num_frames, planned)
    found = planned if cuts is None else cuts
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
    numbers = np.arange(num_frames)
    shot_of = np.searchsorted(planned, numbers, side="right")
    vectors = np.array([looks[shot] for shot in shot_of], np.float32)
    return Evidence(
        footage=footage,
        detection=Detection("test", num_frames, tuple(Boundary(frame, 1.0) for frame in found)),
        asked=place(Request(storyboard, fps=None), num_frames, footage.fps),
        clip=Embeddings("test", numbers, vectors) if clip else None,
        crops=crops or {},
        missing={} if clip else {"clip": "no CLIP here"},
    )


def value(name, evidence):
    measured = METRIC[name].measure(evidence)
    return METRIC[name].derive(measured.parts) if measured.parts else None


def test_consistency_is_the_mean_cosine_of_pairs_that_share_a_tag():
    between = (A + B) / np.sqrt(2)
    evidence = make_evidence(["[character1]", "[character1] runs", "[character1] sits"], [A, A, between])
    assert value("character_consistency", evidence) == pytest.approx((1 + 2 / np.sqrt(2)) / 3)


def test_pairs_without_a_common_tag_count_as_different_and_the_margin_is_the_difference():
    evidence = make_evidence(["[character1]", "[character2]", "[character1] again"], [A, B, A])
    assert value("character_consistency", evidence) == pytest.approx(1)
    assert value("different_characters", evidence) == pytest.approx(0)
    assert value("character_margin", evidence) == pytest.approx(1)


def test_a_swapped_character_lowers_consistency_and_margin():
    captions = ["[character1]", "[character2]", "[character1] again", "[character2] again"]
    right, swapped = (make_evidence(captions, looks) for looks in ([A, B, A, B], [A, B, B, A]))
    for name in ("character_consistency", "character_margin", "character_return"):
        assert value(name, swapped) < value(name, right) - 0.5


def test_a_video_that_never_cuts_has_no_consistency_rather_than_a_perfect_one():
    evidence = make_evidence(["[character1]", "[character1] runs"], [A, A], cuts=[])
    measured = METRIC["character_consistency"].measure(evidence)
    assert measured.parts == {} and (measured.covered, measured.of) == (0, 1)
    assert "no cut" in measured.reason


def test_only_the_pairs_inside_one_uncut_shot_are_left_out():
    evidence = make_evidence(["[character1]", "[character1] runs", "[character1] sits"], [A, A, B], cuts=[17])
    measured = METRIC["character_consistency"].measure(evidence)
    assert (measured.covered, measured.of) == (2, 3)
    assert METRIC["character_consistency"].derive(measured.parts) == pytest.approx(0)
    left_out = [row for row in measured.detail if "reason" in row]
    assert [row["shots"] for row in left_out] == [[1, 2]]


def test_a_cut_a_few_frames_late_still_separates_its_shots():
    assert value("character_consistency", make_evidence(["[character1]", "[character1] a"], [A, A], cuts=[12])) == 1


def test_return_counts_characters_that_come_back_by_distance_and_adjacent_only_neighbours():
    captions = ["[character1]", "[character2]", "[character1] a", "[character1] b", "[character2] c"]
    evidence = make_evidence(captions, [A, B, A, C, B])
    measured = METRIC["character_return"].measure(evidence)
    # 1 and 3 and 1 and 4 are not both returns: shot 3 shows the character between 1 and 4.
    assert [row["shots"] for row in measured.detail] == [[1, 3], [2, 5]]
    assert by_distance(measured.parts) == {2: pytest.approx(1), 3: pytest.approx(1)}
    assert value("character_adjacent", evidence) == pytest.approx(0)


def test_detail_names_every_pair_and_sums_up_each_character():
    measured = METRIC["character_consistency"].measure(
        make_evidence(["[character1] and [character2]", "[character1]", "[character2]"], [A, A, B])
    )
    of_characters = {row["character"]: row for row in measured.detail if "character" in row}
    assert of_characters["[character1]"]["value"] == pytest.approx(1)
    assert of_characters["[character2]"]["value"] == pytest.approx(0)
    assert all(row["on"] == "frame" for row in measured.detail if "shots" in row)


def test_given_crops_are_compared_in_place_of_frames_and_the_detail_says_so():
    numbers = np.arange(17)
    crops = {
        "[character1]": Embeddings("test", numbers, np.array([A] * 17, np.float32)),
        "[character2]": Embeddings("test", numbers, np.array([B] * 17, np.float32)),
    }
    both = "[character1] and [character2]"
    evidence = make_evidence([both, f"{both} run"], [C, C], crops=crops)
    measured = METRIC["character_consistency"].measure(evidence)
    assert {row["on"] for row in measured.detail if "shots" in row} == {"crop"}
    assert value("character_consistency", evidence) == pytest.approx(1)
    assert value("different_characters", evidence) == pytest.approx(0)


def test_a_character_without_a_box_in_a_shot_is_not_covered():
    crops = {"[character1]": Embeddings("test", np.arange(9), np.array([A] * 9, np.float32))}
    evidence = make_evidence(["[character1]", "[character1] a"], [A, A], crops=crops)
    measured = METRIC["character_consistency"].measure(evidence)
    assert measured.parts == {} and measured.of == 1 and "nothing of one" in measured.reason


@pytest.mark.parametrize(
    ("captions", "reason"),
    [
        (["[character1]"], "one shot"),
        (["A street.", "A river."], "no shot caption names a character"),
        (["[character1]", "[character2]"], "no character is named in two shots"),
    ],
)
def test_without_a_pair_the_reason_says_why(captions, reason):
    measured = METRIC["character_consistency"].measure(make_evidence(captions, [A] * len(captions)))
    assert measured.parts == {} and reason in measured.reason


@pytest.mark.parametrize("name", ["character_consistency", "character_adjacent", "character_return"])
def test_captions_without_tags_are_the_reason_everywhere(name):
    measured = METRIC[name].measure(make_evidence(["A street.", "A river.", "A street."], [A, B, A]))
    assert measured.reason == "no shot caption names a character by its tag, such as [character1]"


def test_without_storyboard_or_clip_every_metric_gives_the_reason_of_the_evidence():
    evidence = make_evidence(["[character1]", "[character1] a"], [A, A], clip=False)
    for metric in METRICS:
        measured = metric.measure(evidence)
        assert (measured.parts, measured.reason) == ({}, "no CLIP here")


def test_margin_says_which_side_is_missing():
    measured = METRIC["character_margin"].measure(make_evidence(["[character1]", "[character1] a"], [A, A]))
    assert measured.parts == {} and "every two shots share a character" in measured.reason


def test_parts_of_videos_add_up_to_the_mean_over_all_their_pairs():
    one = make_evidence(["[character1]", "[character2]", "[character1] a"], [A, B, A])
    two = make_evidence(["[character1]", "[character1] a", "[character1] b"], [A, B, C])
    for metric in METRICS[:2]:
        parts = [metric.measure(evidence).parts for evidence in (one, two)]
        total = add_up(parts)
        assert metric.derive(total) == pytest.approx(sum(p.get("sum", 0) for p in parts) / total["count"])


def test_a_shot_that_the_video_is_too_short_for_is_not_covered():
    evidence = make_evidence(["[character1]", "[character1] a", "[character1] b"], [A, A, A])
    short = Embeddings("test", evidence.clip.frames[:17], evidence.clip.vectors[:17])
    measured = METRIC["character_consistency"].measure(
        Evidence(evidence.footage, evidence.detection, evidence.asked, clip=short)
    )
    assert (measured.covered, measured.of) == (1, 3)
