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
    """The subtitles of a SubRip file as shots; raises StoryboardError for text that is none."""
    import srt

    try:
        subtitles = sorted(srt.parse(text))
    except (srt.SRTParseError, ValueError, OverflowError) as error:
        raise StoryboardError(f"is damaged, or not SubRip: {first_line(error)}") from None
    plain = [_MARKS.sub("", subtitle.content).strip() for subtitle in subtitles]
    notes = ["italics and the like are left out"] if any(map(_MARKS.search, (s.content for s in subtitles))) else []
    times = [(_fraction(s.start), _fraction(s.end)) for s in subtitles]
    return _reading(plain, times, notes, "SubRip")


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
    import webvtt

    try:
        found = webvtt.WebVTT.from_buffer(io.StringIO(text))
    except (webvtt.errors.MalformedFileError, webvtt.errors.MalformedCaptionError, ValueError) as error:
        raise StoryboardError(f"is damaged, or not WebVTT: {first_line(error)}") from None
    comments = (comment.removeprefix(_TAG) for comment in (*found.header_comments, *found.footer_comments))
    enclosed = next(filter(None, map(enclosed_in, comments)), None)
    cues = sorted(found.captions, key=lambda cue: _seconds(cue.start))
    times = [(_seconds(cue.start), _seconds(cue.end)) for cue in cues]
    return _reading([html.unescape(cue.text).strip() for cue in cues], times, [], "WebVTT", enclosed)


def _reading(
    captions: Sequence[str],
    times: Sequence[tuple[Fraction, Fraction]],
    notes: list[str],
    what: str,
    enclosed: Storyboard | None = None,
) -> Reading:
    """Subtitles as shots without gaps: each is shown until the next one begins."""
    kept = [(caption, *span) for caption, span in zip(captions, times, strict=True) if caption and span[1] > span[0]]
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


def _fraction(time: timedelta) -> Fraction:
    return Fraction(time // timedelta(milliseconds=1), 1000)
