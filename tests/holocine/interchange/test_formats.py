"""Storyboards as the files of film tools: ours to theirs and theirs to ours, read and written by the libraries."""

import csv
import io
from fractions import Fraction
from itertools import pairwise

import opentimelineio as otio
import pandas
import pytest
import srt
import webvtt
from fountain import FountainParser
from fountain.elements import ElementType
from hypothesis import given, settings
from hypothesis import strategies as st

from holocine import Storyboard, StoryboardError
from holocine.interchange import endings
from holocine.interchange.formats import FORMATS, load, read_text, save, write_text
from holocine.interchange.scene import Media
from holocine.interchange.timebase import own_timebase

CAPTIONS = (
    "Wide shot. [character1] walks *fast* to the_sea, 100 % & <1 m> away.",
    'שלום עולם 🎬 العالم, a \\ and a "quote"',
    "First line,\nsecond line",
    "MOE",
    "#3 = INT. /* HOUSE */ - DAY [[x]] --> CUT TO:",
    "日本語のショット",
)
LENGTHS = (27, 43, 29, 1, 61, 13)
RATES = (12.0, 15.0, 16.0, 23.976, 24.0, 25.0, 30.0)
MEDIA = Media("beach.mp4", "file:///films/beach.mp4", 784, 448)
WHOLE = (".otio", ".fcpxml", ".vtt", ".fountain")  # bring all of a storyboard back
TIMED = (".otio", ".edl", ".fcpxml")


def scene(fps: float = 15.0, captions=CAPTIONS, lengths=LENGTHS, **fields) -> Storyboard:
    shots = [{"caption": c, "num_frames": n} for c, n in zip(captions, lengths, strict=True)]
    given = {"global_caption": "A beach at noon.\n[character1] is red. 🏖", "fps": fps, "shots": shots}
    return Storyboard.model_validate(given | fields)


FULL = {"title": "The beach ☂", "seed": 7, "negative_prompt": "rain"}


def test_the_endings_that_commands_offer_are_those_of_the_formats():
    assert tuple(FORMATS) == endings.FORMATS


@pytest.mark.parametrize("media", [None, MEDIA])
@pytest.mark.parametrize("fps", RATES)
@pytest.mark.parametrize("ending", WHOLE)
def test_a_storyboard_comes_back_whole(ending, fps, media):
    storyboard = scene(fps, **FULL)
    assert read_text(write_text(storyboard, ending, media).text, ending) == (storyboard, ())


@pytest.mark.parametrize("fps", RATES)
@pytest.mark.parametrize("ending", [".edl", ".csv", ".srt"])
def test_shots_frames_and_captions_come_back_where_the_rest_has_no_place(ending, fps):
    storyboard = scene(fps, **FULL)
    written = write_text(storyboard, ending)
    asked = {"fps": fps, "global_caption": storyboard.global_caption} if ending == ".srt" else {}
    back, notes = read_text(written.text, ending, **asked)
    assert (back.shots, back.fps, back.global_caption) == (storyboard.shots, fps, storyboard.global_caption)
    assert notes == ()
    assert any("has no place for" in note and "the seed and the negative prompt" in note for note in written.notes)


@pytest.mark.parametrize("ending", WHOLE)
def test_pictures_and_lengths_in_seconds_come_back_too(ending):
    fields = {"references": {"character1": "data:image/png;base64,AAAA"}}
    shots = [{"caption": "One [character1].", "seconds": 1.03}, {"caption": "Two.", "num_frames": 9, "image": "a.png"}]
    storyboard = Storyboard.model_validate({"global_caption": "G", "fps": 16.0, "shots": shots, **fields})
    assert read_text(write_text(storyboard, ending).text, ending)[0] == storyboard


text = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), min_size=1, max_size=40)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(text, st.integers(1, 90)), min_size=1, max_size=5), st.sampled_from(RATES), text)
def test_any_text_comes_back(shots, fps, global_caption):
    try:
        storyboard = scene(fps, *zip(*shots, strict=True), global_caption=global_caption)
    except StoryboardError:
        return
    for ending in (*WHOLE, ".edl"):
        back = read_text(write_text(storyboard, ending).text, ending)[0]
        assert (back.captions, back.cuts, back.num_frames) == (
            storyboard.captions,
            storyboard.cuts,
            storyboard.num_frames,
        )
        assert back.global_caption == storyboard.global_caption


def test_a_nul_which_ends_texts_in_opentimelineio_is_a_replacement_character():
    storyboard = scene(captions=("\0a", "a\0b"), lengths=(3, 4))
    assert read_text(write_text(storyboard, ".otio").text, ".otio")[0].captions == ("\ufffda", "a\ufffdb")
    assert read_text(write_text(storyboard, ".edl").text, ".edl")[0] == storyboard


# Ours, read by the libraries


def clips_of(ending: str, text: str, rate: float) -> list[tuple[float, float, otio.schema.Clip]]:
    """The clips that an adapter of OpenTimelineIO finds: first second, last second, clip."""
    adapter = {".otio": "otio_json", ".edl": "cmx_3600", ".fcpxml": "fcpx_xml"}[ending]
    found = otio.adapters.read_from_string(text, adapter, **({"rate": rate} if ending == ".edl" else {}))
    if isinstance(found, otio.schema.SerializableCollection):
        found = found[0]
    (track,) = found.video_tracks()
    spans = [(clip, clip.range_in_parent()) for clip in track.find_clips()]
    return [(s.start_time.to_seconds(), s.end_time_exclusive().to_seconds(), clip) for clip, s in spans]


@pytest.mark.parametrize("fps", RATES)
@pytest.mark.parametrize("ending", [".otio", ".edl"])
def test_a_library_finds_every_cut_within_half_a_frame_of_a_rate_that_film_knows(ending, fps):
    storyboard = scene(fps)
    rate = own_timebase(fps).rate
    assert rate in (24, 25, 30, Fraction(24000, 1001)) and rate >= fps
    clips = clips_of(ending, write_text(storyboard, ending, MEDIA).text, float(rate))
    wanted = [frame / fps for frame in (0, *storyboard.cuts, storyboard.num_frames)]
    assert len(clips) == storyboard.num_shots
    for (start, stop, _), (first, last) in zip(clips, pairwise(wanted), strict=True):
        assert abs(start - first) <= 0.5 / rate + 1e-4 and abs(stop - last) <= 0.5 / rate + 1e-4
        assert start * rate == pytest.approx(round(start * rate), abs=1e-6)


@pytest.mark.parametrize(("fps", "rate"), [(12.0, 24), (15.0, 24), (16.0, 24), (24.0, 24)])
def test_the_adapter_finds_the_clips_of_fcpxml(fps, rate):
    storyboard = scene(fps)
    clips = clips_of(".fcpxml", write_text(storyboard, ".fcpxml", MEDIA).text, rate)
    for (start, _, clip), frame, caption in zip(clips, (0, *storyboard.cuts), CAPTIONS, strict=True):
        assert abs(start - frame / fps) <= 0.5 / rate + 1e-9
        assert clip.media_reference.target_url == MEDIA.url
        assert clip.markers[0].name == " ".join(caption.split())


@pytest.mark.parametrize("fps", [23.976, 29.97, 25.0])
def test_times_in_fcpxml_are_whole_frames_of_its_own_rate(fps):
    from xml.etree import ElementTree

    root = ElementTree.fromstring(write_text(scene(fps), ".fcpxml", MEDIA).text.encode())
    frame = Fraction(root.find("resources/format").get("frameDuration").removesuffix("s"))
    assert float(1 / frame) == pytest.approx(fps, rel=1e-4)
    offsets = [Fraction(clip.get("offset").removesuffix("s")) / frame for clip in root.iter("asset-clip")]
    assert offsets == [0, *scene(fps).cuts]


def test_the_timeline_of_a_video_refers_to_it_and_names_its_captions():
    timeline = otio.adapters.read_from_string(write_text(scene(title="The beach"), ".otio", MEDIA).text, "otio_json")
    assert timeline.name == "The beach"
    for clip, caption in zip(timeline.find_clips(), CAPTIONS, strict=True):
        assert clip.media_reference.target_url == "file:///films/beach.mp4"
        whole, part = clip.media_reference.available_range, clip.source_range
        assert whole.start_time <= part.start_time and part.end_time_exclusive() <= whole.end_time_exclusive()
        assert clip.markers[0].comment == clip.metadata["holocine"]["caption"] == caption
    without = otio.adapters.read_from_string(write_text(scene(), ".otio").text, "otio_json")
    assert all(clip.media_reference.is_missing_reference for clip in without.find_clips())


def test_an_edl_says_captions_on_one_line_each():
    text = write_text(scene(), ".edl", MEDIA).text
    assert "* CAPTION: First line,\\nsecond line" in text.splitlines()
    assert text.startswith("TITLE: beach.mp4\nFCM: NON-DROP FRAME\n")


def test_subtitles_are_read_by_their_libraries():
    storyboard = scene(12.0)
    found = list(srt.parse(write_text(storyboard, ".srt").text))
    assert [subtitle.content for subtitle in found] == list(CAPTIONS)
    assert [round(subtitle.start.total_seconds() * 12) for subtitle in found[1:]] == list(storyboard.cuts)
    cues = webvtt.WebVTT.from_string(write_text(storyboard, ".vtt").text)
    assert [cue.identifier for cue in cues] == [f"Shot {n}" for n in range(1, 7)]
    assert cues[1].start == "00:00:02.250" and cues[1].text.startswith("שלום עולם 🎬")


def test_a_screenplay_is_a_heading_and_a_paragraph_of_action_a_shot():
    document = FountainParser().parse(write_text(scene(title="The beach"), ".fountain").text)
    kinds = [element.type for element in document.elements]
    assert kinds == [ElementType.SCENE_HEADING, *[ElementType.ACTION] * 6, ElementType.NOTE]
    assert document.metadata["title"] == "The beach"
    assert document.elements[1].text == CAPTIONS[0] and document.elements[3].text == CAPTIONS[2]


def test_a_shot_list_is_read_by_pandas():
    storyboard = scene(16.0, title="The beach")
    table = pandas.read_csv(io.BytesIO(write_text(storyboard, ".csv").text.encode()))
    assert list(table["caption"]) == list(CAPTIONS) and list(table["frames"]) == list(LENGTHS)
    assert list(table["start_frame"][1:]) == list(storyboard.cuts)
    assert table["global_caption"][0] == storyboard.global_caption and table["fps"][0] == 16


# What is said


@pytest.mark.parametrize(
    ("fps", "how"),
    [
        (12.0, "no cut moves"),
        (15.0, "cuts are on the frame nearest in time, at most 17 ms away"),
        (16.0, "cuts are on the frame nearest in time, at most 21 ms away"),
    ],
)
def test_another_rate_is_told_with_how_far_it_moves_cuts(fps, how):
    for ending in TIMED:
        (note,) = (note for note in write_text(scene(fps), ending).notes if "timeline" in note)
        assert note == f"{fps:g} frames a second are put on a timeline of 24: {how}"


@pytest.mark.parametrize("fps", [23.976, 24.0, 25.0])
def test_a_rate_that_film_knows_is_kept_and_needs_no_word(fps):
    assert not any("timeline" in note for ending in TIMED for note in write_text(scene(fps), ending).notes)


def test_the_timeline_may_have_another_rate_that_is_asked_for():
    storyboard = scene(12.0, **FULL)
    for ending in TIMED:
        text = write_text(storyboard, ending, timeline_rate="25").text
        back, _ = read_text(text, ending)
        assert back.shots == storyboard.shots
    with pytest.raises(
        StoryboardError, match="shot 4 of 6: is shorter than a frame of a timeline with 24 frames a sec"
    ):
        write_text(scene(120.0), ".edl", timeline_rate="24")


# What others have changed


def test_a_clip_that_was_trimmed_and_a_marker_that_was_rewritten_are_taken_over_and_the_rest_stays():
    storyboard = scene(15.0, **FULL)
    timeline = otio.adapters.read_from_string(write_text(storyboard, ".otio", MEDIA).text, "otio_json")
    first, second, *_ = clips = list(timeline.find_clips())
    span = first.source_range
    first.source_range = otio.opentime.TimeRange(span.start_time, span.duration - otio.opentime.RationalTime(8, 24))
    second.markers[0].comment = "Another caption"
    track = timeline.video_tracks()[0]
    track.remove(clips[4])
    back, notes = read_text(otio.adapters.write_to_string(timeline, "otio_json"), ".otio")
    assert back.captions == (CAPTIONS[0], "Another caption", *CAPTIONS[2:4], CAPTIONS[5])
    assert [shot.num_frames for shot in back.shots] == [22, 43, 29, 1, 13]
    assert (back.title, back.seed, back.global_caption) == ("The beach ☂", 7, storyboard.global_caption)
    assert notes == ("it was changed since it was written: shots are as they are in it now",)


def test_a_paragraph_that_was_added_to_a_screenplay_is_a_shot_of_average_length():
    text = write_text(scene(15.0, CAPTIONS[:2], (20, 40), **FULL), ".fountain").text
    back, _ = read_text(text.replace("\n\n[[", "\n\nA gull lands.\n\n[["), ".fountain")
    assert [(shot.caption, shot.num_frames) for shot in back.shots] == [
        (CAPTIONS[0], 20),
        (CAPTIONS[1], 40),
        ("A gull lands.", 30),
    ]
    back, _ = read_text(text.replace("A beach at noon.", "A beach at night."), ".fountain")
    assert back.global_caption.startswith("A beach at night.") and back.seed == 7


# Theirs, read by us


def foreign_timeline(rate: float = 24, markers: bool = False) -> otio.schema.Timeline:
    timeline = otio.schema.Timeline("Somebody's film")
    track = otio.schema.Track("V1", kind="Video")
    sound = otio.schema.Track("A1", kind="Audio")
    timeline.tracks.extend([track, sound])
    for name, frames in (("hero walks", 36), ("sea.mov", 50), ("gull", 30)):
        span = otio.opentime.TimeRange(otio.opentime.RationalTime(100, rate), otio.opentime.RationalTime(frames, rate))
        clip = otio.schema.Clip(name, otio.schema.MissingReference(), span)
        if markers:
            clip.markers.append(otio.schema.Marker(f"Marked {name}", span))
        track.append(clip)
        sound.append(otio.schema.Clip("sound", source_range=span))
    return timeline


def as_text(timeline: otio.schema.Timeline, adapter: str = "otio_json", **how) -> str:
    return otio.adapters.write_to_string(timeline, adapter, **how)


def test_a_timeline_of_somebody_else_has_the_names_of_its_clips_for_captions_which_is_said():
    back, notes = read_text(as_text(foreign_timeline()), ".otio")
    assert back.captions == ("hero walks", "sea.mov", "gull")
    assert ([shot.num_frames for shot in back.shots], back.fps) == ([36, 50, 30], 24)
    assert back.global_caption == back.title == "Somebody's film"
    assert notes[0] == "there are no captions in it: the clips' names stand for them"
    assert notes[1].startswith('there is no global caption in it: "Somebody\'s film" stands for it')
    back, notes = read_text(as_text(foreign_timeline(markers=True)), ".otio", global_caption="The sea.")
    assert back.captions[0] == "Marked hero walks" and back.global_caption == "The sea."
    assert notes == ("the texts of the markers are taken for captions",)


@pytest.mark.parametrize("rate", [24000 / 1001, 24, 25, 30])
def test_cuts_of_somebody_else_lie_within_half_a_frame_of_the_rate_that_is_asked_for(rate):
    for fps in (12.0, 15.0, 16.0, None):
        back, _ = read_text(as_text(foreign_timeline(rate)), ".otio", fps=fps)
        assert back.fps == pytest.approx(fps or rate)
        for cut, frame in zip((*back.cuts, back.num_frames), (36, 86, 116), strict=True):
            assert abs(cut / back.fps - frame / rate) <= 0.5 / back.fps + 1e-9


def test_a_dissolve_becomes_a_cut_in_its_middle():
    timeline = foreign_timeline()
    offsets = [otio.opentime.RationalTime(frames, 24) for frames in (4, 12)]
    timeline.video_tracks()[0].insert(1, otio.schema.Transition("fade", "SMPTE_Dissolve", *offsets))
    said = "a storyboard has cuts only: 1 transition became a cut in the middle"
    back, notes = read_text(as_text(timeline), ".otio")
    assert [shot.num_frames for shot in back.shots] == [40, 46, 30] and said in notes
    back, notes = read_text(as_text(timeline, "cmx_3600", rate=24), ".edl")
    assert [shot.num_frames for shot in back.shots] == [40, 46, 30] and said in notes


def test_gaps_are_left_out_and_of_several_tracks_what_is_seen_is_taken():
    timeline = foreign_timeline()
    gap = otio.schema.Gap(source_range=otio.opentime.TimeRange(duration=otio.opentime.RationalTime(10, 24)))
    timeline.video_tracks()[0].insert(1, gap)
    back, notes = read_text(as_text(timeline), ".otio")
    assert [shot.num_frames for shot in back.shots] == [36, 50, 30]
    assert "a storyboard has no gaps: 1 gap left out" in notes
    above = otio.schema.Track("V2", kind="Video")
    span = otio.opentime.TimeRange(duration=otio.opentime.RationalTime(12, 24))
    above.append(otio.schema.Clip("title card", source_range=span))
    timeline.tracks.append(above)
    back, notes = read_text(as_text(timeline), ".otio")
    assert back.captions == ("title card", "hero walks", "sea.mov", "gull")
    assert [shot.num_frames for shot in back.shots] == [12, 24, 50, 30]
    assert any("2 video tracks lie over each other" in note for note in notes)


def test_an_edl_that_does_not_say_its_rate_is_read_at_the_one_its_timecode_shows():
    text = as_text(foreign_timeline(25), "cmx_3600", rate=25)
    back, notes = read_text(text, ".edl", timeline_rate="25")
    assert ([shot.num_frames for shot in back.shots], back.fps) == ([36, 50, 30], 25)
    assert not any("does not say its rate" in note for note in notes)
    slow, notes = read_text(as_text(foreign_timeline(24), "cmx_3600", rate=24), ".edl")
    assert [shot.num_frames for shot in slow.shots] == [36, 50, 30]
    assert "an EDL does not say its rate: 24 frames a second are taken (--timeline-rate says another)" in notes


def test_fcpxml_that_the_adapter_writes_is_read():
    back, notes = read_text(as_text(foreign_timeline(24, markers=True), "fcpx_xml"), ".fcpxml")
    assert back.captions == ("Marked hero walks", "Marked sea.mov", "Marked gull")
    assert ([shot.num_frames for shot in back.shots], back.fps) == ([36, 50, 30], 24)
    assert "the texts of the markers are taken for captions, the clips' names where there are none" in notes


def test_transitions_and_gaps_of_fcpxml_are_said():
    text = write_text(scene(24.0, ("a", "b", "c"), (24, 48, 24)), ".fcpxml", MEDIA).text
    text = text.replace("holocine-storyboard/1", "else")
    text = text.replace(
        '<asset-clip name="Shot 2"', '<transition offset="18/24s" duration="12/24s"/><asset-clip name="Shot 2"'
    )
    text = text.replace('<asset-clip name="Shot 3"', '<gap duration="1s"/><asset-clip name="Shot 3"')
    back, notes = read_text(text, ".fcpxml")
    assert [(shot.caption, shot.num_frames) for shot in back.shots] == [("a", 24), ("b", 48), ("c", 24)]
    assert sum("left out" in note or "cut in the middle" in note for note in notes) == 2


def test_subtitles_of_somebody_else_are_shots_until_the_next_begins():
    text = "1\n00:00:01,000 --> 00:00:02,000\n<i>Hello</i>\nthere\n\n2\n00:00:04,000 --> 00:00:06,500\nSea\n"
    back, notes = read_text(text, ".srt", "talk", fps=16.0)
    assert [(shot.caption, shot.num_frames) for shot in back.shots] == [("Hello\nthere", 48), ("Sea", 40)]
    assert back.global_caption == "talk"
    assert notes[0] == "italics and the like are left out"
    assert notes[1] == "a shot lasts until the next one begins: times between subtitles are of the shot before"
    text = "WEBVTT\n\n00:01.000 --> 00:02.000\n<v Roger>Tom &amp; Jerry\n\n1:00:02.000 --> 1:00:03.000\nSea\n"
    back, notes = read_text(text, ".vtt")
    assert back.captions == ("Tom & Jerry", "Sea") and back.shots[0].num_frames == 3601 * 15
    assert "it does not say how many frames a second there are: 15 are taken" in notes


def test_a_screenplay_of_somebody_else_is_its_action_with_what_is_said():
    text = (
        "Title: Coffee\nAuthor: Jane\n\nINT. COFFEE SHOP - DAY\n\nSARAH enters.\n\nSARAH\n(loud)\nOne cappuccino!\n\n"
        "CUT TO:\n\nEXT. STREET - NIGHT\n\n*Rain* falls.\n\n# A section\n\n/* not this */\n"
    )
    back, notes = read_text(text, ".fountain")
    assert back.captions == ("SARAH enters. SARAH: (loud) One cappuccino!", "EXT. STREET - NIGHT: Rain falls.")
    assert (back.title, back.global_caption, back.num_frames) == ("Coffee", "INT. COFFEE SHOP - DAY", 241)
    assert "what is said is part of the shot before it" in notes
    assert "there are no times in it: 241 frames are divided evenly" in notes


@pytest.mark.parametrize(
    ("text", "lengths"),
    [
        ("Shot,Description,Duration\n1,Sea,2\n2,Gull,0:01.5\n", [30, 22]),
        ("Shot;Action;Length;FPS\n1;Sea;2,5s;16\n2;Gull;1;\n", [40, 16]),
        ("caption\tstart\tend\nSea\t0\t2\nGull\t2\t3\n", [30, 15]),
        ("shot,caption\n1,Sea\n2,Gull\n", [121, 120]),
    ],
)
def test_shot_lists_of_spreadsheets_are_read(text, lengths):
    back, _ = read_text(text, ".csv", "list")
    assert back.captions == ("Sea", "Gull")
    assert [shot.num_frames for shot in back.shots] == lengths


def test_what_pandas_writes_is_read():
    table = pandas.DataFrame({"caption": CAPTIONS, "frames": LENGTHS, "fps": 12})
    back, _ = read_text(table.to_csv(index=False, quoting=csv.QUOTE_ALL), ".csv")
    assert back.captions == CAPTIONS and [shot.num_frames for shot in back.shots] == list(LENGTHS) and back.fps == 12


# Damage


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize(
    "content", [b"", b"  \n", b"\xff\xfe\x00garbage", b"{]", b"<fcpxml", b"no file of film", b"[1]"]
)
def test_a_file_that_is_none_is_refused_in_one_sentence_with_its_name(tmp_path, ending, content):
    path = tmp_path / f"cut{ending}"
    path.write_bytes(content)
    if ending == ".fountain" and content in (b"{]", b"<fcpxml", b"no file of film", b"[1]"):
        return  # any text is a screenplay
    with pytest.raises(StoryboardError) as error:
        load(path)
    assert str(error.value).startswith(f"{path}: ") and "\n" not in str(error.value)


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(sorted(FORMATS)), st.floats(0, 1), st.binary(max_size=12))
def test_damage_leads_to_a_storyboard_or_a_sentence_and_nothing_else(ending, place, bytes_):
    whole = write_text(scene(), ending, MEDIA).text.encode()
    at = int(place * len(whole))
    damaged = (whole[:at] + bytes_ + whole[at + len(bytes_) :]).decode(errors="replace")
    for text in (damaged, whole[:at].decode(errors="replace")):
        try:
            assert read_text(text, ending)[0].num_shots
        except StoryboardError as error:
            assert str(error)


@pytest.mark.parametrize(
    ("ending", "text"),
    [
        (".otio", "[" * 99_000),
        (".otio", '{"a":' * 900 + "1" + "}" * 900),
        (".edl", "1 " + "a C " * 24_000),
        (".fcpxml", "<a>" * 33_000),
        (".srt", "0" * 99_000),
        (".vtt", "WEBVTT\n\n" + "<" * 99_000),
        (".fountain", "[[ " * 33_000),
        (".csv", 'caption,x\n"' + "a" * 200_000),
    ],
)
def test_a_text_that_is_made_to_hurt_is_refused_all_the_same(ending, text):
    with pytest.raises(StoryboardError):
        read_text(text, ending)


def test_timelines_without_pictures_or_with_impossible_clips_are_refused(tmp_path):
    timeline = foreign_timeline()
    with pytest.raises(StoryboardError, match="there is no picture in it: no video track has a clip"):
        read_text(as_text(otio.schema.Timeline("empty")), ".otio")
    with pytest.raises(StoryboardError, match="there is no timeline in it"):
        read_text(as_text(otio.schema.Marker("x")), ".otio")
    timeline.video_tracks()[0].append(otio.schema.Clip("no range"))
    with pytest.raises(StoryboardError, match="its timeline is damaged"):
        read_text(as_text(timeline), ".otio")
    with pytest.raises(StoryboardError, match="there is no column of captions in it"):
        read_text("a,b\n1,2\n", ".csv")
    with pytest.raises(StoryboardError, match="row 2: '2 fast' is no time"):
        read_text("caption,seconds\na,1\nb,2 fast\n", ".csv")
    with pytest.raises(StoryboardError, match="'.mov' is no format of a film tool; these are .otio, .edl"):
        save(scene(), tmp_path / "a.mov")
    with pytest.raises(StoryboardError, match="gone.otio: cannot be read: No such file"):
        load(tmp_path / "gone.otio")
