import csv
import io
import json
import re
from itertools import pairwise

import numpy as np
import opentimelineio as otio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.cut_list import cut_list
from eval.evidence import Boundary, Detection
from holocine.interchange.timebase import TIMELINE_RATES, timebase_for

DETECTION = Detection("d 1", 60, (Boundary(20, 0.75), Boundary(41, 0.5, "gradual", 38, 44)))


def test_json_has_cuts_boundaries_and_shots():
    content = json.loads(cut_list(DETECTION, 12.0, "a.mp4"))
    assert content["cuts"] == [20, 41] and content["num_frames"] == 60 and content["detector"] == "d 1"
    assert content["shots"] == [{"start": 0, "stop": 20}, {"start": 20, "stop": 41}, {"start": 41, "stop": 60}]
    assert content["boundaries"][0] == {"frame": 20, "seconds": 1.6667, "score": 0.75, "kind": "cut"}
    assert content["boundaries"][1]["start"] == 38 and content["boundaries"][1]["stop"] == 44


def test_csv_has_a_row_a_shot():
    rows = list(csv.DictReader(io.StringIO(cut_list(DETECTION, 10.0, "a.mp4", "csv"))))
    assert [(row["start"], row["stop"], row["kind"]) for row in rows] == [
        ("0", "20", ""),
        ("20", "41", "cut"),
        ("41", "60", "gradual"),
    ]
    assert rows[1]["start_seconds"] == "2.0" and rows[1]["score"] == "0.75"


def events(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines() if line[:3].isdigit()]


def read_back(text: str, rate: float):
    """The shots and dissolves that OpenTimelineIO finds: (first second, last second) each, and (at, length) each."""
    track = otio.adapters.read_from_string(text, "cmx_3600", rate=rate).video_tracks()[0]
    shots, dissolves = [], []
    for item in track:
        if isinstance(item, otio.schema.Transition):
            at = shots[-1][1]
            dissolves.append((at - item.in_offset.to_seconds(), item.out_offset.to_seconds()))
        elif item.duration().value:
            span = item.trimmed_range_in_parent()
            shots.append((span.start_time.to_seconds(), span.end_time_exclusive().to_seconds()))
    return shots, dissolves


def test_edl_has_events_on_a_named_timeline_that_follow_each_other():
    lines = cut_list(DETECTION, 12, "two\nlines.mp4", "edl").splitlines()
    assert lines[:2] == ["TITLE: two lines.mp4", "FCM: NON-DROP FRAME"]
    assert "* TIMELINE RATE: 24 FRAMES A SECOND; THE VIDEO HAS 12" in lines
    first, second, zero, dissolve = events("\n".join(lines))
    assert first == ["001", "AX", "V", "C", *["00:00:00:00", "00:00:01:16"] * 2]
    assert second == ["002", "AX", "V", "C", *["00:00:01:16", "00:00:03:04"] * 2]
    assert zero == ["003", "AX", "V", "C", *["00:00:03:04"] * 4]
    assert dissolve == ["003", "AX", "V", "D", "012", *["00:00:03:04", "00:00:05:00"] * 2]
    assert "* SHOT 3: FRAMES 41 TO 60 OF THE VIDEO" in lines
    assert "* GRADUAL CHANGE: FRAMES 38 TO 44 OF THE VIDEO" in lines


@pytest.mark.parametrize("fps", [12, 15, 16, 24, 25, 30000 / 1001, 30, 60])
def test_opentimelineio_reads_every_cut_within_half_a_frame_and_dissolves_as_such(fps):
    cuts = (41, 100, 163, 164, 200)
    boundaries = (*(Boundary(cut, 0.9) for cut in cuts), Boundary(260, 0.8, "gradual", 251, 267))
    text = cut_list(Detection("d 1", 400, boundaries), fps, "a.mp4", "edl")
    rate = float(timebase_for(fps).rate)
    assert rate >= fps
    shots, dissolves = read_back(text, rate)
    wanted = np.array([0, *cuts, 251, 400]) / fps
    assert len(shots) == 7 and len(dissolves) == 1
    for (start, stop), (first, last) in zip(shots, pairwise(wanted), strict=True):
        assert abs(start - first) <= 0.5 / rate + 1e-9 and abs(stop - last) <= 0.5 / rate + 1e-9
    assert abs(dissolves[0][0] - 251 / fps) <= 0.5 / rate + 1e-9
    assert abs(dissolves[0][1] - 16 / fps) <= 1 / rate + 1e-9


@pytest.mark.parametrize("rate", [name for name in TIMELINE_RATES if name != "29.97df"])
def test_every_rate_that_can_be_asked_for_is_read_back(rate):
    base = TIMELINE_RATES[rate]
    detection = Detection("d 1", 40_000, tuple(Boundary(cut, 0.9) for cut in (41, 17_983, 36_001)))
    shots, _ = read_back(cut_list(detection, 16, "a", "edl", timeline_rate=rate), float(base.rate))
    for (start, _), frame in zip(shots, (0, 41, 17_983, 36_001), strict=True):
        assert abs(start - frame / 16) <= 0.5 / base.rate + 1e-6


def test_drop_frame_timecode_keeps_step_with_the_clock():
    base = TIMELINE_RATES["29.97df"]
    for frame, told in (
        (1799, "00:00:59;29"),
        (1800, "00:01:00;02"),
        (17_981, "00:09:59;29"),
        (17_982, "00:10:00;00"),
        (107_892, "01:00:00;00"),
    ):
        assert (
            base.timecode(frame)
            == told
            == otio.opentime.to_timecode(otio.opentime.RationalTime(frame, 30000 / 1001), 30000 / 1001, drop_frame=True)
        )
        assert base.frame_of(told) == frame
    text = cut_list(
        Detection("d 1", 30_000, (Boundary(20_000, 0.9),)), 30000 / 1001, "a", "edl", timeline_rate="29.97df"
    )
    assert "FCM: DROP FRAME" in text and events(text)[1][4:6] == ["00:11:07;10", "00:16:41;00"]
    shots, _ = read_back(text, 30000 / 1001)
    assert shots[1][0] == pytest.approx(20_000 * 1001 / 30000)


@given(st.integers(0, 2_500_000), st.sampled_from(list(TIMELINE_RATES.values())))
def test_timecode_numbers_frames_one_to_one(frame, base):
    day = 24 * 60 * 60 * base.nominal - 24 * 54 * 2 * base.drop * 2
    assert base.frame_of(base.timecode(frame % day)) == frame % day


@pytest.mark.parametrize(
    ("fps", "rate"),
    [(12, "24"), (16, "24"), (23.976, "24"), (24.0004, "24"), (25, "25"), (25.5, "30"), (29.97, "30"), (59.94, "60")],
)
def test_the_default_timeline_is_the_nearest_that_is_at_least_as_fast(fps, rate):
    assert timebase_for(fps).name == rate


def test_another_timeline_rate_is_refused():
    with pytest.raises(ValueError, match="the timeline rate is '16', but has to be one of 23.976, 24, 25, 29.97"):
        cut_list(DETECTION, 16, "a", "edl", timeline_rate="16")


def test_seconds_are_the_given_times_in_every_format():
    times = np.array([12012 * (n // 3) + (0, 6006, 9009)[n % 3] for n in range(121)]) / 90000
    detection = Detection("d 1", 120, (Boundary(40, 0.9),))
    content = json.loads(cut_list(detection, 22.478, "a", times=times))
    assert content["boundaries"][0]["seconds"] == 1.8018 and content["duration"] == 5.3387
    assert "2,40,120,1.8018,5.3387,0.9,cut" in cut_list(detection, 22.478, "a", "csv", times=times)
    shots, _ = read_back(cut_list(detection, 22.478, "a", "edl", times=times), 24)
    assert shots[1][0] == round(1.8018 * 24) / 24


@pytest.mark.parametrize(
    ("timecode", "fps", "start"),
    [
        ("01:00:00:00", 25, "01:00:00:00"),
        ("10:59:58:12", 24, "10:59:58:12"),
        ("01:00:00:00", 24000 / 1001, "01:00:00:00"),
        ("00:59:59:12", 50, "00:59:59:14"),
        ("01:00:00;00", 30000 / 1001, "01:00:00:00"),
        ("no timecode", 24, "00:00:00:00"),
        (None, 24, "00:00:00:00"),
    ],
)
def test_source_points_are_the_timecode_of_the_file(timecode, fps, start):
    text = cut_list(Detection("d 1", 100, (Boundary(48, 0.9),)), fps, "a", "edl", timecode=timecode)
    first, second = events(text)
    assert first[4] == start and first[6] == "00:00:00:00" and first[5] == second[4]


def test_the_timecode_of_a_drop_frame_file_is_kept_on_a_drop_frame_timeline():
    text = cut_list(DETECTION, 30000 / 1001, "a", "edl", timeline_rate="29.97df", timecode="01:00:59;29")
    assert events(text)[0][4:6] == ["01:00:59;29", "01:01:00;21"]


def test_shots_shorter_than_a_frame_of_the_timeline_are_left_out_and_named():
    detection = Detection("d 1", 240, (Boundary(60, 0.9), Boundary(61, 0.9), Boundary(120, 0.9)))
    text = cut_list(detection, 120, "a", "edl", timeline_rate="24")
    shots, _ = read_back(text, 24)
    assert [start for start, _ in shots] == [0, 0.5, 1.0]
    assert "* SHOTS LEFT OUT BEFORE, SHORTER THAN A FRAME HERE: 1" in text


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(0, 9)), max_size=6), st.integers(1, 40))
def test_no_detection_makes_an_edl_that_cannot_be_read(spans, rest):
    """Gradual changes may begin with the video, share their frames, or fill a whole shot."""
    frame, boundaries = 0, []
    total = rest + sum(before + inside + 1 for before, inside, _ in spans)
    for before, inside, after in spans:
        start = max(frame, 0)
        frame += before + inside + 1
        kind = {"kind": "gradual", "start": start, "stop": min(frame + after, total)} if inside + after > 1 else {}
        boundaries.append(Boundary(frame, 0.9, **kind))
    text = cut_list(Detection("d 1", total, tuple(boundaries)), 24, "a", "edl")
    shots, dissolves = read_back(text, 24)
    assert shots[0][0] == 0 and shots[-1][1] == pytest.approx(total / 24)
    assert all(stop == start for (_, stop), (start, _) in pairwise(shots))
    assert len(dissolves) == len(re.findall(" D  ", text))


def test_a_video_without_cuts_is_one_shot():
    detection = Detection("d 1", 5, ())
    assert json.loads(cut_list(detection, 12, "a"))["shots"] == [{"start": 0, "stop": 5}]
    assert len(cut_list(detection, 12, "a", "csv").splitlines()) == 2


def test_another_format_is_refused():
    with pytest.raises(ValueError, match="'xml', but has to be one of json, csv, edl"):
        cut_list(DETECTION, 12, "a", "xml")


def test_what_an_edl_has_no_digits_for_is_refused():
    detection = Detection("d 1", 5000, tuple(Boundary(i, 0.9) for i in range(1, 1000)))
    with pytest.raises(ValueError, match="at most 999 shots, but there are 1000; use json"):
        cut_list(detection, 25, "a", "edl")
    assert len(cut_list(detection, 25, "a", "csv").splitlines()) == 1001
