"""Detected shots as files: JSON, CSV, and the CMX 3600 edit decision list that editing programs import."""

from __future__ import annotations

import csv
import io
import json

from eval.evidence import Detection

FORMATS = ("json", "csv", "edl")


def cut_list(detection: Detection, fps: float, name: str, format: str = "json") -> str:
    """The shots of the video called `name` as text in one of FORMATS; raises ValueError for another."""
    writers = {"json": to_json, "csv": to_csv, "edl": to_edl}
    if format not in writers:
        raise ValueError(f"the format is {format!r}, but has to be one of {', '.join(FORMATS)}")
    return writers[format](detection, fps, name)


def to_json(detection: Detection, fps: float, name: str) -> str:
    """Boundaries and shots, in frames (0-based, stop not included) and seconds."""
    content = {
        "video": name,
        "detector": detection.detector,
        "num_frames": detection.num_frames,
        "fps": fps,
        "cuts": detection.cuts,
        "boundaries": [
            {"frame": b.frame, "seconds": _seconds(b.frame, fps), "score": round(float(b.score), 6), "kind": b.kind}
            | ({"start": b.start, "stop": b.stop} if b.kind == "gradual" else {})
            for b in detection.boundaries
        ],
        "shots": [{"start": shot.start, "stop": shot.stop} for shot in detection.shot_ranges],
    }
    return json.dumps(content, ensure_ascii=False, indent=2) + "\n"


def to_csv(detection: Detection, fps: float, name: str) -> str:
    """A row a shot; score and kind are those of the boundary that it begins with, empty for the first shot."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["shot", "start", "stop", "start_seconds", "stop_seconds", "score", "kind"])
    for number, (shot, boundary) in enumerate(
        zip(detection.shot_ranges, (None, *detection.boundaries), strict=True), start=1
    ):
        begins = [f"{boundary.score:.6g}", boundary.kind] if boundary else ["", ""]
        times = [_seconds(shot.start, fps), _seconds(shot.stop, fps)]
        writer.writerow([number, shot.start, shot.stop, *times, *begins])
    return text.getvalue()


def to_edl(detection: Detection, fps: float, name: str) -> str:
    """An event a shot, in non-drop timecode of the nearest whole rate, as the format has no other.

    All events are cuts into the one finished video, which holds its dissolves already; a comment tells where they are.
    Raises ValueError for more shots or a higher rate than the format has digits for.
    """
    rate = max(1, round(fps))
    if rate >= 100 or len(detection.shot_ranges) >= 1000:
        raise ValueError(
            f"{name}: an EDL holds at most 999 shots and 99 frames a second, but there are "
            f"{len(detection.shot_ranges)} shots at {fps:g}; use json or csv"
        )
    lines = [f"TITLE: {_one_line(name)}", "FCM: NON-DROP FRAME", ""]
    for number, (shot, boundary) in enumerate(
        zip(detection.shot_ranges, (None, *detection.boundaries), strict=True), start=1
    ):
        start, stop = timecode(shot.start, rate), timecode(shot.stop, rate)
        lines.append(f"{number:03d}  AX       V     C        {start} {stop} {start} {stop}")
        lines.append(f"* FROM CLIP NAME: {_one_line(name)}")
        if boundary and boundary.kind == "gradual":
            lines.append(f"* GRADUAL CHANGE {timecode(boundary.start, rate)} {timecode(boundary.stop, rate)}")
    return "\n".join(lines) + "\n"


def timecode(frame: int, rate: int) -> str:
    """HH:MM:SS:FF of a frame at a whole number of frames a second."""
    seconds, frames = divmod(frame, rate)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}:{frames:02d}"


def _seconds(frame: int, fps: float) -> float:
    return round(frame / fps, 4)


def _one_line(text: str) -> str:
    return " ".join(text.split())
