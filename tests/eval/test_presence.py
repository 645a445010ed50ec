"""Who is there, and that nothing about characters is scored well without them."""

from dataclasses import replace

import numpy as np
import pytest

from eval.evidence import Boundary, Detection, Embeddings, Evidence, Footage
from eval.metrics.characters import METRICS as CHARACTERS
from eval.metrics.characters import by_distance
from eval.metrics.presence import METRICS as PRESENCE
from eval.request import Request, place
from eval.sighting import Sightings
from holocine import Storyboard

METRIC = {metric.name: metric for metric in (*PRESENCE, *CHARACTERS)}
ONE, TWO = "[character1]", "[character2]"
A, B, C = np.eye(3)
FRAMES = 8  # a shot


def evidence(captions, seen, looks=None, looked_for=(ONE, TWO), missing=None) -> Evidence:
    """A video of equally long shots with the cuts it was asked for, in which somebody saw the characters `seen`.

    looks: by tag, a vector for each shot in which it can be compared.
    """
    total = FRAMES * len(captions)
    cast = f"{ONE} is a man. {TWO} is a cat."
    cuts = [FRAMES * i for i in range(1, len(captions))]
    asked = place(Request.of(Storyboard.from_captions(cast, captions, total, cuts)), total, 16.0)
    sightings = None
    crops = {}
    if seen is not None:
        shares = tuple({tag: float(tag in who) for tag in looked_for} for who in seen)
        sightings = Sightings("test", looked_for, {}, shares, tuple(frozenset(who) for who in seen), {})
        for tag, vectors in (looks or {}).items():
            where = [(i * FRAMES, v) for i, v in vectors.items() if tag in seen[i]]
            if where:
                crops[tag] = Embeddings("test", np.array([f for f, _ in where]), np.array([v for _, v in where]))
    blank = np.zeros((total, 4, 4, 3), np.uint8)
    thumbnails = np.zeros((total, 27, 48, 3), np.uint8)
    footage = Footage("0" * 64, total, 16.0, (4, 4), thumbnails, blank, np.zeros(total), np.zeros(total))
    return Evidence(
        footage=footage,
        detection=Detection("test", total, tuple(Boundary(cut, 1.0) for cut in cuts)),
        asked=asked,
        sightings=sightings,
        crops=crops,
        missing=missing or {},
    )


def value(name, of):
    measured = METRIC[name].measure(of)
    return METRIC[name].derive(measured.parts) if measured.parts else None


def test_presence_is_the_share_of_characters_asked_for_that_are_seen():
    found = evidence([f"{ONE} and {TWO}", ONE, TWO], [{ONE}, {ONE}, {TWO}])
    measured = METRIC["character_presence"].measure(found)
    assert value("character_presence", found) == pytest.approx(3 / 4)
    assert (measured.covered, measured.of) == (4, 4)
    assert [(row["shot"], row["character"]) for row in measured.detail if not row["value"]] == [(1, TWO)]


def test_intruders_are_characters_seen_where_nobody_asked_for_them():
    found = evidence([ONE, ONE, f"{ONE} and {TWO}"], [{ONE}, {TWO}, {ONE, TWO}])
    measured = METRIC["character_intruders"].measure(found)
    assert value("character_intruders", found) == pytest.approx(1 / 2)
    assert [row["shot"] for row in measured.detail if row["value"]] == [2]


def test_a_video_without_the_characters_scores_well_on_nothing_about_them():
    nobody = evidence([ONE, f"{ONE} and {TWO}", TWO], [set()] * 3)
    assert value("character_presence", nobody) == 0
    for name in set(METRIC) - {"character_presence"}:
        measured = METRIC[name].measure(nobody)
        assert measured.parts == {} and measured.reason, name


def test_consistency_counts_only_pairs_in_which_the_character_is_seen_in_both_shots():
    looks = {ONE: {0: A, 1: B, 2: A}}
    everywhere = evidence([ONE, ONE, ONE], [{ONE}] * 3, looks)
    assert value("character_consistency", everywhere) == pytest.approx(1 / 3)
    absent = evidence([ONE, ONE, ONE], [{ONE}, set(), {ONE}], looks)
    measured = METRIC["character_consistency"].measure(absent)
    assert value("character_consistency", absent) == pytest.approx(1)
    assert (measured.covered, measured.of) == (1, 3)
    assert {row.get("reason") for row in measured.detail if row.get("shots") != [1, 3] and "shots" in row} == {
        "a character that is compared is not seen in both"
    }


def test_who_is_seen_from_behind_only_is_told_apart_from_who_is_not_there():
    found = evidence([ONE, ONE, ONE], [{ONE}] * 3, {ONE: {0: A, 2: A}})
    reasons = [row["reason"] for row in METRIC["character_consistency"].measure(found).detail if "reason" in row]
    assert reasons == ["a character is seen from behind only"] * 2
    assert value("character_presence", found) == 1


def test_consistency_by_distance_is_a_curve_and_returns_have_their_own():
    captions = [ONE, ONE, TWO, ONE]
    found = evidence(captions, [{ONE}, {ONE}, {TWO}, {ONE}], {ONE: {0: A, 1: A, 3: B}, TWO: {2: C}})
    measured = METRIC["character_consistency"].measure(found)
    curve = {row["apart"]: row["value"] for row in measured.detail if row.get("returning") is False}
    assert curve == {1: pytest.approx(1), 2: pytest.approx(0), 3: pytest.approx(0)}
    assert by_distance(measured.parts) == curve
    back = {row["apart"]: row["pairs"] for row in measured.detail if row.get("returning")}
    assert back == {2: 1}


def test_without_anybody_who_looks_the_reason_says_how_to_find_them():
    unseen = evidence([ONE, ONE], None, missing={"sightings": "nobody looked", "clip": "no CLIP here"})
    for metric in PRESENCE:
        assert metric.measure(unseen).reason == "nobody looked"
    assert METRIC["character_consistency"].measure(unseen).reason == "no CLIP here"


def test_whole_frames_are_compared_where_nobody_looked_and_it_says_so():
    unseen = evidence([ONE, ONE], None)
    frames = np.arange(2 * FRAMES)
    unseen = replace(unseen, clip=Embeddings("test", frames, np.array([A] * len(frames))))
    measured = METRIC["character_consistency"].measure(unseen)
    assert value("character_consistency", unseen) == pytest.approx(1)
    assert "whole frames" in measured.reason


def test_characters_that_were_not_looked_for_are_not_covered():
    found = evidence([f"{ONE} and {TWO}", ONE], [{ONE}, {ONE}], looked_for=(ONE,))
    measured = METRIC["character_presence"].measure(found)
    assert (measured.covered, measured.of) == (2, 3)
    assert value("character_presence", found) == 1


def test_a_scene_whose_shots_name_nobody_has_no_presence():
    for metric in PRESENCE:
        assert metric.measure(evidence(["A street.", "A river."], [set(), set()])).reason == (
            "no shot caption names a character by its tag, such as [character1]"
        )


def test_there_are_no_intruders_to_look_for_where_everybody_is_asked_for_everywhere():
    both = f"{ONE} and {TWO}"
    measured = METRIC["character_intruders"].measure(evidence([both, both], [{ONE, TWO}] * 2))
    assert measured.parts == {} and "asked for in every shot" in measured.reason
