"""Captions as subtitles: SubRip (.srt), and WebVTT (.vtt) as the chapters that players list.

Times are whole milliseconds. SubRip is text with times and nothing more; a comment of WebVTT holds the whole
storyboard.
"""

from __future__ import annotations

import html
import io
import json
import re
from collections.abc import Sequence
from datetime import timedelta
from fractions import Fraction
from typing import Any

from holocine.errors import first_line
from holocine.interchange.scene import Found, Media, Reading, enclose, enclosed_in
from holocine.interchange.timebase import Timebase
from holocine.storyboard import Storyboard, StoryboardError

_MARKS = re.compile(r"</?(?:b|i|u|font)\b[^<>]*>|\{\\[^{}]*\}", re.IGNORECASE)
_TAG = "holocine "


def write_srt(storyboard: Storyboard, media: Media | None, base: Timebase) -> str:
    """The captions of a storyboard as SubRip, without empty lines, which end a subtitle there."""
    import srt

    spans = zip(storyboard.captions, _milliseconds(storyboard), strict=True)
    subtitles = [
        srt.Subtitle(number, timedelta(milliseconds=start), timedelta(milliseconds=stop), _lines(caption))
        for number, (caption, (start, stop)) in enumerate(spans, start=1)
    ]
    return srt.compose(subtitles, reindex=False)


def read_srt(text: str, rate: str | None = None) -> Reading:
    """The subtitles of a SubRip file as shots; raises StoryboardError for text that is none.

    webvtt-py reads them: srt, which writes them, takes minutes over a line of many digits.
    """
    cues = _cues(text.lstrip(), "srt", "SubRip").captions
    texts = [cue.raw_text for cue in cues]
    notes = ["italics and the like are left out"] if any(map(_MARKS.search, texts)) else []
    times = [(_seconds(cue.start), _seconds(cue.end)) for cue in cues]
    return _reading([_MARKS.sub("", text).strip() for text in texts], times, notes, "SubRip")


def write_vtt(storyboard: Storyboard, media: Media | None, base: Timebase) -> str:
    """The captions of a storyboard as WebVTT chapters."""
    import webvtt

    made = webvtt.WebVTT()
    made.header_comments.append(_TAG + json.dumps(enclose(storyboard)).replace(">", "\\u003e"))
    spans = zip(storyboard.captions, _milliseconds(storyboard), strict=True)
    for number, (caption, (start, stop)) in enumerate(spans, start=1):
        lines = html.escape(_lines(caption), quote=False).split("\n")
        made.captions.append(webvtt.Caption(_stamp(start), _stamp(stop), lines, identifier=f"Shot {number}"))
    return made.content + "\n"


def read_vtt(text: str, rate: str | None = None) -> Reading:
    """The cues of a WebVTT file as shots; raises StoryboardError for text that is none."""
    found = _cues(text, "vtt", "WebVTT")
    comments = (comment.removeprefix(_TAG) for comment in (*found.header_comments, *found.footer_comments))
    enclosed = next(filter(None, map(enclosed_in, comments)), None)
    times = [(_seconds(cue.start), _seconds(cue.end)) for cue in found.captions]
    texts = [html.unescape(cue.text).strip() for cue in found.captions]
    return _reading(texts, times, [], "WebVTT", enclosed)


def _cues(text: str, kind: str, what: str) -> Any:
    """What webvtt-py finds in a text; raises StoryboardError, which calls the text `what`, if that is nothing."""
    import webvtt

    try:
        return webvtt.WebVTT.from_buffer(io.StringIO(text), format=kind)
    except (webvtt.errors.MalformedFileError, webvtt.errors.MalformedCaptionError, ValueError) as error:
        raise StoryboardError(f"is damaged, or not {what}: {first_line(error)}") from None


def _reading(
    captions: Sequence[str],
    times: Sequence[tuple[Fraction, Fraction]],
    notes: list[str],
    what: str,
    enclosed: Storyboard | None = None,
) -> Reading:
    """Subtitles as shots without gaps: each is shown until the next one begins."""
    kept = [(caption, *span) for caption, span in zip(captions, times, strict=True) if caption and span[1] > span[0]]
    kept.sort(key=lambda cue: cue[1:])
    if not kept:
        raise StoryboardError(f"there is no text with a time in it, or it is not {what}")
    stops = [*(start for _, start, _ in kept[1:]), kept[-1][2]]
    if any(stop != told for stop, (_, _, told) in zip(stops, kept, strict=True)):
        notes.append("a shot lasts until the next one begins: times between subtitles are of the shot before")
    shots = [Found(caption, start, stop) for (caption, start, _), stop in zip(kept, stops, strict=True) if stop > start]
    if len(shots) < len(kept):
        notes.append(f"subtitles that begin together are one shot: {len(kept) - len(shots)} left out")
    return Reading(tuple(shots), enclosed=enclosed, notes=tuple(notes))


def _milliseconds(storyboard: Storyboard) -> list[tuple[int, int]]:
    """From when to when each shot is shown."""
    points = [round(frame * 1000 / storyboard.fps) for frame in (0, *storyboard.cuts, storyboard.num_frames)]
    return list(zip(points, points[1:], strict=False))


def _lines(text: str) -> str:
    """The text without empty lines, with line feeds alone for line breaks."""
    return "\n".join(line for line in text.splitlines() if line.strip())


def _stamp(milliseconds: int) -> str:
    seconds, rest = divmod(milliseconds, 1000)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}.{rest:03d}"


def _seconds(stamp: str) -> Fraction:
    hours, minutes, seconds = ("0:" + stamp if stamp.count(":") < 2 else stamp).split(":")
    return int(hours) * 3600 + int(minutes) * 60 + Fraction(seconds)
