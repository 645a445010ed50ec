"""Detected shots as files: JSON, CSV, and the CMX 3600 edit decision list that editing programs import.

Seconds are presentation times. An EDL counts frames of a timeline, which has one of the rates that SMPTE ST 12-1 gives
timecode: shots begin on the frame of that timeline that is nearest in time.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from eval.evidence import Boundary, Detection
from holocine.interchange.edl import MAX_EVENTS, Event, edit_list, rate_comment, shot_comment
from holocine.interchange.timebase import Timebase, timebase_for

FORMATS = ("json", "csv", "edl")


def cut_list(
    detection: Detection,
    fps: float,
    name: str,
    format: str = "json",
    *,
    times: Sequence[float] | np.ndarray | None = None,
    timeline_rate: str | None = None,
    timecode: str | None = None,
    row: bool | None = None,
) -> str:
    """The shots of the video called `name` as text in one of FORMATS; raises ValueError for another.

    times: (T + 1,), the seconds at which frames are shown and, last, at which the last one is over; frames by `fps`
    without it. timeline_rate, one of TIMELINE_RATES, and timecode, that of the video's first frame, are for an EDL.
    row: whether the text follows that of another video in one file, or begins it; None for a file of its own.
    """
    if format not in FORMATS:
        raise ValueError(f"the format is {format!r}, but has to be one of {', '.join(FORMATS)}")
    times = np.arange(detection.num_frames + 1) / fps if times is None else np.asarray(times, dtype=np.float64)
    if format == "edl":
        return to_edl(detection, fps, times, name, timebase_for(fps, timeline_rate), timecode)
    if format == "json":
        return to_json(detection, fps, times, name, indent=2 if row is None else None)
    return to_csv(detection, times, None if row is None else name, head=not row)


def to_json(detection: Detection, fps: float, times: np.ndarray, name: str, indent: int | None = 2) -> str:
    """Boundaries and shots, in frames (0-based, stop not included) and seconds."""
    content = {
        "video": name,
        "detector": detection.detector,
        "num_frames": detection.num_frames,
        "fps": fps,
        "duration": _rounded(times[-1]),
        "cuts": detection.cuts,
        "boundaries": [
            {"frame": b.frame, "seconds": _rounded(times[b.frame]), "score": round(b.score, 6), "kind": b.kind}
            | ({"start": b.start, "stop": b.stop} if b.kind == "gradual" else {})
            for b in detection.boundaries
        ],
        "shots": [{"start": shot.start, "stop": shot.stop} for shot in detection.shot_ranges],
    }
    return json.dumps(content, ensure_ascii=False, indent=indent) + "\n"


def to_csv(detection: Detection, times: np.ndarray, name: str | None = None, head: bool = True) -> str:
    """A row a shot; score and kind are those of the boundary that it begins with, empty for the first shot.

    With a `name` of the video, that is the first column; `head` is the line of the columns' names.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    video = [] if name is None else [name]
    if head:
        columns = ["shot", "start", "stop", "start_seconds", "stop_seconds", "score", "kind"]
        writer.writerow(["video"] * len(video) + columns)
    for number, (shot, boundary) in enumerate(
        zip(detection.shot_ranges, (None, *detection.boundaries), strict=True), start=1
    ):
        begins = [f"{boundary.score:.6g}", boundary.kind] if boundary else ["", ""]
        seconds = [_rounded(times[shot.start]), _rounded(times[shot.stop])]
        writer.writerow([*video, number, shot.start, shot.stop, *seconds, *begins])
    return text.getvalue()


def to_edl(
    detection: Detection, fps: float, times: np.ndarray, name: str, base: Timebase, timecode: str | None = None
) -> str:
    """An event a shot on a timeline of the given rate, which begins at zero; out points are not included.

    Source points are the video's own timecode where it has one. A gradual change is a dissolve (D) over its frames; as
    both its sides are the one finished video, the timeline shows what the video shows. Comments name the frames of the
    video (0-based, the last one not included). Raises ValueError for more shots than the format numbers.
    """
    if len(detection.shot_ranges) > MAX_EVENTS:
        raise ValueError(
            f"{name}: an EDL holds at most {MAX_EVENTS} shots, but there are {len(detection.shot_ranges)}; use json or "
            "csv"
        )
    shots, boundaries = detection.shot_ranges, (None, *detection.boundaries)
    events: list[Event] = []
    previous = -1
    for number, start, stop, dissolve in _events(detection, times, base):
        shot, boundary = shots[number], boundaries[number]
        comments = [] if events else [rate_comment(base, fps)]
        comments.append(shot_comment(number, shot))
        if boundary and boundary.kind == "gradual":
            comments.append(f"GRADUAL CHANGE: FRAMES {boundary.start} TO {boundary.stop} OF THE VIDEO")
        if number > previous + 1:
            comments.append(f"SHOTS LEFT OUT BEFORE, SHORTER THAN A FRAME HERE: {number - previous - 1}")
        events.append(Event(start, stop, dissolve, tuple(comments)))
        previous = number
    return edit_list(name, base, events, _source_start(timecode, fps, base))


def _events(detection: Detection, times: np.ndarray, base: Timebase) -> list[tuple[int, int, int, int]]:
    """The shots on a timeline, without those that are shorter than half of its frames: (0-based number, start, stop,
    frames of a dissolve that it begins with).
    """
    begins, dissolves = [0], [0]
    for start, stop in _changes(detection.boundaries):
        begin = base.frame_at(times[start])
        begins.append(begin)
        dissolves.append(base.frame_at(times[stop]) - begin)
    ends = [*begins[1:], max(base.frame_at(times[-1]), begins[-1] + 1)]
    return [
        (shot, begin, end, min(dissolve, end - begin, 999) if begin else 0)
        for shot, (begin, end, dissolve) in enumerate(zip(begins, ends, dissolves, strict=True))
        if end > begin
    ]


def _changes(boundaries: Sequence[Boundary]) -> list[tuple[int, int]]:
    """The frames of every change (half-open), those of cuts empty; changes that share frames meet where a shot begins.

    A dissolve needs a frame of the shot before it.
    """
    spans = [(max(1, b.start), max(1, b.stop)) if b.kind == "gradual" else (b.frame, b.frame) for b in boundaries]
    for i in range(1, len(spans)):
        (before, after), frame = spans[i - 1 : i + 1], boundaries[i - 1].frame
        if after[0] < max(before[1], frame):
            spans[i - 1] = before[0], max(before[0], min(before[1], frame))
            spans[i] = max(after[0], frame), max(after[1], frame)
    return spans


def _source_start(timecode: str | None, fps: float, base: Timebase) -> int:
    """The frame of a timeline's timecode that reads as the one of a video's first frame, which counts at `fps`.

    Hours, minutes and seconds are kept as they read, for that is how an editing program finds the place in the source.
    """
    nominal = max(1, round(fps))
    own = Timebase(f"{fps:.6g}", Fraction(nominal), nominal)
    try:
        seconds, frames = divmod(own.frame_of(timecode or ""), nominal)
    except ValueError:
        return 0  # a tag that is no timecode is none
    frames = min(round(frames * base.nominal / nominal), base.nominal - 1)
    return base.frame_of(f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}:{frames:02d}")


def _rounded(seconds: float) -> float:
    return round(float(seconds), 4)
