"""What the editor's dialogs ask the server: storyboards as text and as files of film tools, and back."""

import json

import opentimelineio as otio
import pytest

from desk.scene import draft
from desk.studio.limits import Limits
from desk.studio.models import find
from desk.tabs.direct import parse_text, write_texts
from holocine import Storyboard
from holocine.interchange.formats import FORMATS, write_text

BOARD = Storyboard.from_captions(
    "A studio with [character1]. 🎨", ["Medium shot of [character1].", "סטודיו"], 33, (17,), fps=12.0, seed=5
)


@pytest.mark.parametrize("ending", FORMATS)
def test_a_draft_is_saved_for_a_film_tool_and_opened_again(tiny_model, ending):
    scene = draft.from_storyboard(BOARD)
    saved = write_texts({"draft": scene, "form": ending[1:]})
    assert saved["text"] == write_text(BOARD, ending).text
    opened = parse_text({"text": saved["text"], "name": f"My scene{ending}"})
    assert [shot["caption"] for shot in opened["draft"]["shots"]] == list(BOARD.captions)
    if ending != ".srt":
        assert [shot["num_frames"] for shot in opened["draft"]["shots"]] == [17, 16]
        assert opened["draft"]["global_caption"] == BOARD.global_caption
    json.dumps([saved, opened])


@pytest.mark.parametrize("form", ["yaml", "json", "prompt"])
def test_a_draft_is_saved_as_text_and_opened_again_whole(tiny_model, form):
    """A caption may hold what looks like a key of YAML at the beginning of a line."""
    board = Storyboard.from_captions(
        "A studio.", ["Two actors.\ndialogue: none.", "Close-up.", "Night."], 33, (5, 17), fps=10.0
    )
    saved = write_texts({"draft": draft.from_storyboard(board)})
    opened = parse_text({"text": saved[form], "name": "prompt.txt"})
    assert [shot["num_frames"] for shot in opened["draft"]["shots"]] == [5, 12, 16]
    assert [shot["caption"] for shot in opened["draft"]["shots"]] == list(board.captions)
    assert opened["draft"]["global_caption"] == "A studio." and not opened["notices"]
    assert opened["draft"]["fps"] == 10
    usual = draft.parse(board.prompt, Limits.of(find()), usual_fps=12.0)
    assert usual.fps == 12 and usual.captions == board.captions


def test_what_a_format_loses_or_lacks_is_told_in_sentences(tiny_model):
    saved = write_texts({"draft": draft.from_storyboard(BOARD), "form": "edl"})
    assert saved["notices"] == [
        "12 frames a second are put on a timeline of 24: no cut moves.",
        "CMX 3600 EDL has no place for the seed: a file of it does not bring that back.",
    ]
    timeline = otio.schema.Timeline("Theirs")
    track = otio.schema.Track("V1", kind="Video")
    timeline.tracks.append(track)
    span = otio.opentime.TimeRange(duration=otio.opentime.RationalTime(24, 24))
    track.append(otio.schema.Clip("gull.mov", source_range=span))
    opened = parse_text({"text": otio.adapters.write_to_string(timeline, "otio_json"), "name": "cut.otio"})
    assert opened["draft"]["shots"][0]["caption"] == "gull.mov"
    assert opened["notices"][0] == "There are no captions in it: the clips' names stand for them."


@pytest.mark.parametrize(
    ("asked", "error"),
    [
        ({"text": "{", "name": "cut.otio"}, "The file is damaged, or not an OpenTimelineIO file"),
        ({"text": "", "name": "cut.csv"}, "The file is empty"),
        ({"text": "a,b\n1,2\n", "name": "cut.csv"}, "There is no column of captions in it"),
        ({"text": "shots: [", "name": "scene.yaml"}, "YAML error"),
        ({"text": "x" * 200_000, "name": "cut.fountain"}, "The text has 200,000 characters"),
    ],
)
def test_what_cannot_be_opened_is_told_in_one_sentence(tiny_model, asked, error):
    assert parse_text(asked)["error"].startswith(error)


def test_an_unknown_form_is_refused(tiny_model):
    assert "'.mov' is no format" in write_texts({"draft": draft.from_storyboard(BOARD), "form": "mov"})["error"]
