"""Shot lists as CSV, which spreadsheets open: a row a shot, what is the whole scene's in the first row."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from fractions import Fraction

from holocine.errors import first_line
from holocine.interchange.scene import Found, Media, Reading
from holocine.interchange.timebase import Timebase
from holocine.storyboard import Storyboard, StoryboardError

MARK = "\ufeff"  # by it a spreadsheet knows UTF-8
CARRIES = ("title", "global_caption", "fps")
COLUMNS = ("shot", "start_frame", "frames", "start_seconds", "seconds", "caption", "fps", "global_caption", "title")

# What others call the columns, the likelier names first.
_NAMES = {
    "caption": ("caption", "description", "shotdescription", "action", "prompt", "text", "content", "notes", "name"),
    "frames": ("frames", "numframes", "framecount", "lengthframes", "durationframes"),
    "seconds": ("seconds", "duration", "durationseconds", "length", "lengthseconds", "durations", "time"),
    "start": ("startseconds", "start", "in", "timein", "starttime"),
    "stop": ("stopseconds", "endseconds", "end", "stop", "out", "timeout", "endtime"),
    "fps": ("fps", "framerate", "framespersecond"),
    "global_caption": ("globalcaption", "scene", "setting", "location"),
    "title": ("title", "scenetitle", "project"),
}


def write(storyboard: Storyboard, media: Media | None, base: Timebase) -> str:
    """A storyboard as CSV. Frames are the video's own, 0-based."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")  # RFC 4180; line breaks of captions are line feeds
    writer.writerow(COLUMNS)
    scene = [f"{storyboard.fps!r}", storyboard.global_caption, storyboard.title or ""]
    for number, (shot, frames) in enumerate(zip(storyboard.shots, storyboard.shot_ranges, strict=True)):
        times = (f"{frames.start / storyboard.fps:.6g}", f"{len(frames) / storyboard.fps:.6g}")
        row = [number + 1, frames.start, len(frames), times[0], times[1], shot.caption]
        writer.writerow([*row, *(scene if number == 0 else [""] * len(scene))])
    return MARK + text.getvalue()


def read(text: str, rate: str | None = None) -> Reading:
    """The rows of a table as shots; raises StoryboardError for text that is none, or has no captions."""
    text = text.removeprefix(MARK)
    head = text.partition("\n")[0]
    delimiter = max(",;\t", key=head.count)
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
    except csv.Error as error:
        raise StoryboardError(f"is damaged, or not CSV: {first_line(error)}") from None
    rows = [row for row in rows if any(cell.strip() for cell in row)]
    names = [re.sub(r"[^a-z]", "", name.lower()) for name in rows[0]] if rows else []
    where = {key: next((names.index(name) for name in known if name in names), None) for key, known in _NAMES.items()}
    if where["caption"] is None:
        known = ", ".join(_NAMES["caption"][:4])
        raise StoryboardError(f"there is no column of captions in it: the first row names the columns, one of {known}")
    cells = [
        {key: row[at].strip() for key, at in where.items() if at is not None and at < len(row)} for row in rows[1:]
    ]
    cells = [row for row in cells if row.get("caption")]
    if not cells:
        raise StoryboardError("there is no row with a caption in it")
    fps = _first(cells, "fps")
    rate_said = _number(fps, 1, "fps") if fps is not None else None
    spans = _spans(cells, rate_said)
    shots = [Found(row["caption"], *span) for row, span in zip(cells, spans, strict=True)]
    return Reading(tuple(shots), _first(cells, "title"), _first(cells, "global_caption"), rate_said)


def _spans(rows: Sequence[Mapping[str, str]], fps: float | None) -> list[tuple[Fraction | None, Fraction | None]]:
    """When each row's shot begins and ends: by frames, seconds, or from when to when; all have to be told alike."""
    at, spans = Fraction(0), []
    key = next((key for key in ("frames", "seconds", "stop") if all(row.get(key) for row in rows)), None)
    if key is None or (key == "frames" and fps is None):
        key = "seconds" if all(row.get("seconds") for row in rows) else None
    for number, row in enumerate(rows, start=1):
        if key is None or (key == "stop" and not row.get("start")):
            return [(None, None)] * len(rows)
        if key == "stop":
            length = _time(row["stop"], number) - _time(row["start"], number)
        elif key == "seconds":
            length = _time(row["seconds"], number)
        else:
            length = Fraction(_number(row["frames"], number, "frames")) / Fraction(fps).limit_denominator(1001)
        if length <= 0:
            raise StoryboardError(f"row {number} of {len(rows)}: its shot ends before it begins")
        spans.append((at, at + length))
        at += length
    return spans


def _time(text: str, number: int) -> Fraction:
    """Seconds, as 5, 5.2, 5.2s, 1:05 or 0:01:05.2."""
    match = re.fullmatch(r"(?:(?:(\d{1,3}):)?(\d{1,5}):)?(\d{1,6}(?:[.,]\d{1,9})?)\s*(?:s|sec|seconds)?", text.lower())
    if match is None:
        raise StoryboardError(f"row {number}: {text[:40]!r} is no time; write seconds, or minutes:seconds")
    return int(match[1] or 0) * 3600 + int(match[2] or 0) * 60 + Fraction(match[3].replace(",", "."))


def _number(text: str, number: int, name: str) -> float:
    if re.fullmatch(r"\d{1,7}(?:\.\d{1,17})?", text) is None:
        raise StoryboardError(f"row {number}: {name} is {text[:40]!r}, but has to be a number")
    return float(text)


def _first(rows: Sequence[Mapping[str, str]], key: str) -> str | None:
    return next((row[key] for row in rows if row.get(key)), None)
