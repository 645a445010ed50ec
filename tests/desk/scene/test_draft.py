import json
from dataclasses import replace

import pytest

from desk.scene import draft
from desk.scene.vocabulary import surprise
from desk.studio.limits import LimitError, Limits
from desk.studio.models import find
from holocine import StoryboardError
from holocine.pictures import enclosed

PROMPT = "[global caption] A studio. [per shot caption] Wide shot. [shot cut] Close-up. [shot cut] Night."


def test_a_storyboard_survives_being_a_draft(storyboard, limits):
    assert draft.to_storyboard(draft.from_storyboard(storyboard), limits) == storyboard


PICTURE = enclosed(b"any bytes", "image/png")


def test_pictures_survive_being_a_draft_and_files_do_not(storyboard, limits):
    first, *others = storyboard.shots
    first = first.model_copy(update={"image": PICTURE})
    board = storyboard.model_copy(update={"shots": [first, *others], "references": {"character1": PICTURE}})
    assert draft.to_storyboard(draft.from_storyboard(board), limits) == board
    named = board.model_copy(update={"references": {"character1": "hero.png"}})
    assert draft.to_storyboard(draft.from_storyboard(named), limits).references is None
    assert draft.parse(board.to_yaml(), limits) == board


def test_files_that_are_named_and_pictures_that_are_too_large_are_refused(storyboard, limits):
    written = draft.from_storyboard(storyboard)
    with pytest.raises(LimitError, match=r"names the file '/etc/passwd', which is not here: give a picture as a data"):
        draft.to_storyboard(written | {"references": {"character1": "/etc/passwd"}}, limits)
    large = enclosed(bytes(600_000), "image/png")
    shots = [{**written["shots"][0], "image": large}, *written["shots"][1:]]
    with pytest.raises(LimitError, match="a picture has 800,022 characters as a data URL, but at most 700,000"):
        draft.to_storyboard(written | {"shots": shots}, limits)


def test_pictures_do_not_count_as_text_but_have_a_limit_too(limits):
    limits.check_text("a" * 90_000 + enclosed(bytes(200_000), "image/png"))
    with pytest.raises(LimitError, match="the text has 100,001 characters, but at most 100,000 are read"):
        limits.check_text("a" * 100_001)
    with pytest.raises(LimitError, match="pictures included"):
        limits.check_text(enclosed(bytes(15_000_000), "image/png"))


@pytest.mark.parametrize(
    ("written", "says"),
    [
        (None, "missing"),
        ("text", "missing"),
        ({}, "no shots"),
        ({"shots": "x"}, "no shots"),
        ({"shots": [1]}, "no shots"),
        ({"shots": [{"caption": " "}], "global_caption": "x"}, "shot 1 of 1: the caption is empty"),
        ({"shots": [{"caption": "x", "num_frames": 5}], "global_caption": ""}, "no description"),
        ({"shots": [{"caption": "x", "num_frames": "5"}], "global_caption": "x"}, "whole number of frames"),
        ({"shots": [{"caption": "x", "num_frames": 5}], "global_caption": "x", "fps": "many"}, "fps"),
    ],
)
def test_what_is_no_storyboard_is_a_sentence(written, says, limits):
    with pytest.raises(StoryboardError, match=says):
        draft.to_storyboard(written, limits)


@pytest.mark.parametrize("text", [PROMPT, json.dumps({"prompt": PROMPT}), f'prompt: "{PROMPT}"'])
def test_prompts_json_and_yaml_are_read(text, limits):
    assert draft.parse(text, limits).captions == ("Wide shot.", "Close-up.", "Night.")


@pytest.mark.parametrize("text", ["A young pain.", "INT. STUDIO: a young painter.\n\nHe waits.", "one, two"])
def test_plain_words_are_told_from_storyboards(text, limits):
    with pytest.raises(draft.Prose, match="plain words, not a storyboard"):
        draft.parse(text, limits)
    with pytest.raises(StoryboardError) as broken:
        draft.parse("shots: [", limits)
    assert not isinstance(broken.value, draft.Prose)


def test_a_prompt_in_a_field_is_an_error_whose_fix_divides_it(tiny_model, limits, storyboard):
    written = draft.from_storyboard(storyboard) | {"global_caption": PROMPT}
    (finding,) = draft.review(written, tiny_model, limits).findings
    assert finding.kind == "error" and finding.shot is None and "holds a prompt of 3 shots" in finding.text
    assert draft.to_storyboard(written | finding.fix, limits).captions == ("Wide shot.", "Close-up.", "Night.")
    written = draft.from_storyboard(storyboard)
    written["shots"][1]["caption"] = "A hand. [shot cut] Night."
    (finding,) = draft.review(written, tiny_model, limits).findings
    assert finding.shot == 2 and finding.fix is None and finding.text.endswith("take these tags out.")


def test_pasted_text_has_a_limit(limits):
    with pytest.raises(LimitError, match="100,001 characters"):
        draft.parse("x" * 100_001, limits)


def test_a_review_says_what_is_doubtful_and_where(tiny_model, limits, storyboard):
    written = draft.from_storyboard(storyboard)
    written["shots"][1] |= {"caption": "Close-up of [character7]."}
    found = draft.review(written, tiny_model, limits)
    assert found.valid and found.plan.num_text_tokens > 20
    assert [(finding.kind, finding.shot) for finding in found.findings] == [("warning", 2)]
    assert "[character7] is not introduced" in found.findings[0].text
    assert found.to_dict()["text_tokens"] == found.plan.num_text_tokens


def test_a_review_of_too_much_text_names_the_shot_that_would_be_cut_off(tiny_model, limits, storyboard):
    written = draft.from_storyboard(storyboard)
    written["shots"][2]["caption"] = "Night. " * 120
    found = draft.review(written, tiny_model, limits)
    assert not found.valid and "shot 3 of 3 is the first that does not fit" in found.findings[0].text


def test_a_review_of_a_broken_draft_keeps_the_characters(tiny_model, limits):
    found = draft.review({"global_caption": "[character1] is a painter.", "shots": []}, tiny_model, limits)
    assert found.characters == {"[character1]": "a painter"} and not found.valid and found.storyboard is None


def test_the_embedded_model_is_told_of_words_outside_its_world(monkeypatch):
    monkeypatch.delenv("HOLOCINE_MODEL", raising=False)
    from desk.studio.limits import Limits
    from desk.studio.models import find

    model = find()
    written = draft.from_storyboard(surprise(3))
    assert not draft.review(written, model, Limits.of(model)).findings
    written["shots"][0]["caption"] = "Wide shot of [character1] riding a dragon. The camera is static."
    found = draft.review(written, model, Limits.of(model))
    assert found.valid and found.findings[0].shot == 1 and "“riding”, “dragon”" in found.findings[0].text


def test_a_wrong_number_of_shots_is_mended_by_its_own_finding(limits):
    from desk.studio.models import find

    written = draft.from_storyboard(surprise(3))
    written["global_caption"] += " This scene contains 9 shots."
    model = find()
    wrong = next(finding for finding in draft.review(written, model, limits).findings if finding.fix)
    assert "contains 9 shots, but there are" in wrong.text
    assert not any(finding.fix for finding in draft.review({**written, **wrong.fix}, model, limits).findings)


def test_tags_of_other_keyboards_are_read(limits):
    board = draft.parse("【global caption】 A room. ［per shot caption］ Wide shot. 【shot cut】 Close-up.", limits)
    assert board.captions == ("Wide shot.", "Close-up.")


@pytest.mark.parametrize("lengths", [[20] * 13, [4] * 12 + [400], [130], [5, 9, 200]])
def test_a_scene_that_is_too_long_says_what_fits_and_its_fix_makes_it_fit(lengths, limits):
    limits = replace(limits, frames=129)
    shots = [{"caption": "A door.", "num_frames": length} for length in lengths]
    written = {"global_caption": "A house.", "shots": shots}
    (finding,) = draft.review(written, find(), limits).findings
    assert finding.kind == "error" and finding.remedy == "Shorten all shots"
    assert f"has {sum(lengths)} frames, but this desk makes at most 129" in finding.text
    fitted = finding.fix["lengths"]
    assert len(fitted) == len(lengths) and all(length % 4 == 0 and length >= 4 for length in fitted)
    assert sum(fitted) - 3 <= 129 and sum(fitted) - 3 > 129 - 4 * len(lengths)


def test_unknown_words_are_offered_with_their_nearest(monkeypatch):
    monkeypatch.delenv("HOLOCINE_MODEL", raising=False)
    model = find()
    board = surprise(3)
    shots = [board.shots[0].model_copy(update={"caption": "Wide shot of [character1] dancing."}), *board.shots[1:]]
    written = draft.from_storyboard(board.model_copy(update={"shots": shots}))
    found = [finding for finding in draft.review(written, model, Limits.of(model)).findings if finding.words]
    assert [(finding.shot, finding.words) for finding in found] == [(1, (("dancing", "jumping"),))]
