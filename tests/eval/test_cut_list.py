import csv
import io
import json

import pytest

from eval.cut_list import cut_list, timecode
from eval.evidence import Boundary, Detection

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


def test_edl_has_events_in_timecode_that_follow_each_other():
    lines = cut_list(DETECTION, 23.976, "two\nlines.mp4", "edl").splitlines()
    assert lines[:2] == ["TITLE: two lines.mp4", "FCM: NON-DROP FRAME"]
    events = [line.split() for line in lines if line[:3].isdigit()]
    assert [event[:4] for event in events] == [[f"{i:03d}", "AX", "V", "C"] for i in (1, 2, 3)]
    assert events[0][4:] == ["00:00:00:00", "00:00:00:20"] * 2
    assert events[2][4:] == ["00:00:01:17", "00:00:02:12"] * 2
    assert "* GRADUAL CHANGE 00:00:01:14 00:00:01:20" in lines


def test_timecode_counts_hours_minutes_seconds_and_frames():
    assert timecode(0, 25) == "00:00:00:00"
    assert timecode(25 * 3661 + 7, 25) == "01:01:01:07"


def test_a_video_without_cuts_is_one_shot():
    detection = Detection("d 1", 5, ())
    assert json.loads(cut_list(detection, 12, "a"))["shots"] == [{"start": 0, "stop": 5}]
    assert len(cut_list(detection, 12, "a", "csv").splitlines()) == 2


def test_another_format_is_refused():
    with pytest.raises(ValueError, match="'xml', but has to be one of json, csv, edl"):
        cut_list(DETECTION, 12, "a", "xml")


@pytest.mark.parametrize(("fps", "rate"), [(23.976, 24), (24, 24), (29.97, 30), (59.94, 60), (12.5, 12), (0.5, 1)])
def test_edl_timecode_counts_frames_of_the_nearest_whole_rate_and_drops_none(fps, rate):
    minutes = Detection("d 1", 20_000, (Boundary(19_999, 0.9),))
    last = [line.split() for line in cut_list(minutes, fps, "a", "edl").splitlines() if line[:3].isdigit()][-1]
    assert last[4:] == [timecode(19_999, rate), timecode(20_000, rate)] * 2


@pytest.mark.parametrize(
    ("shots", "fps", "told"), [(1000, 25, "1000 shots at 25"), (2, 120, "2 shots at 120"), (2, 99.5, "2 shots at 99.5")]
)
def test_what_an_edl_has_no_digits_for_is_refused(shots, fps, told):
    detection = Detection("d 1", 5000, tuple(Boundary(i, 0.9) for i in range(1, shots)))
    with pytest.raises(ValueError, match=f"at most 999 shots and 99 frames a second, but there are {told}; use json"):
        cut_list(detection, fps, "a", "edl")
    assert len(cut_list(detection, fps, "a", "csv").splitlines()) == shots + 1
