"""CMX 3600 edit decision lists: an event a shot, with what a storyboard has more in comments.

They are read by OpenTimelineIO's adapter. It is not what writes them: it says no frame code mode, puts the names of
markers into capitals and numbers reels by its own rule, and lists of detected shots are written here as well.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from holocine.interchange.scene import Found, Media, Reading, on_timeline
from holocine.interchange.timebase import TIMELINE_RATES, Timebase
from holocine.interchange.timelines import read_with, video_shots
from holocine.storyboard import Storyboard, StoryboardError

MAX_EVENTS = 999  # events are numbered with three digits
CARRIES = ("global_caption", "fps")
_RATE = re.compile(r"TIMELINE RATE: (\S+) FRAMES A SECOND; THE VIDEO HAS (\S+)")
_FRAMES = re.compile(r"SHOT (\d+): FRAMES (\d+) TO (\d+) OF THE VIDEO")
_REEL = re.compile(
    r"^(\d{1,6}[ \t]+)(\S[^\n]{0,80}?)"
    r"([ \t]{1,20}\S{1,8}[ \t]{1,20}(?:C|D|W\d+|K\S?)[ \t][^\n]{0,20}\d\d:\d\d[^\n]{0,80})$",
    re.MULTILINE,
)
_UNSAFE = re.compile(r"[\\\x00-\x1f\x7f-\x9f\u2028\u2029]")  # what ends a line, and what marks it


@dataclass(frozen=True)
class Event:
    """Frames `start` to `stop` (half-open) of a timeline, the first `dissolve` of which show the event before, too."""

    start: int
    stop: int
    dissolve: int = 0
    comments: tuple[str, ...] = ()


def edit_list(clip: str, base: Timebase, events: Sequence[Event], source: int = 0) -> str:
    """The text of an EDL whose events are all of the video called `clip`, in place.

    source: the frame of the timeline's timecode that the video's first frame has.
    """
    clip = " ".join(clip.split())
    lines = [f"TITLE: {clip}", f"FCM: {'DROP FRAME' if base.drop else 'NON-DROP FRAME'}", ""]
    for number, event in enumerate(events, start=1):
        points = (source + event.start, source + event.stop, event.start, event.stop)
        if event.dissolve:
            at = source + event.start
            lines.append(_event_line(base, number, "C", at, at, event.start, event.start))
            lines.append(_event_line(base, number, f"D    {event.dissolve:03d}", *points))
            lines += [f"* FROM CLIP NAME: {clip}", f"* TO CLIP NAME: {clip}"]
        else:
            lines.append(_event_line(base, number, "C", *points))
            lines.append(f"* FROM CLIP NAME: {clip}")
        lines += [f"* {comment}" for comment in event.comments]
    return "\n".join(lines) + "\n"


def _event_line(base: Timebase, number: int, edit: str, *points: int) -> str:
    return f"{number:03d}  AX       V     {edit:<8} {' '.join(map(base.timecode, points))}"


def rate_comment(base: Timebase, fps: float) -> str:
    return f"TIMELINE RATE: {base.name} FRAMES A SECOND; THE VIDEO HAS {fps:.6g}"


def shot_comment(number: int, frames: range) -> str:
    """What says which frames of the video a shot (0-based) is."""
    return f"SHOT {number + 1}: FRAMES {frames.start} TO {frames.stop} OF THE VIDEO"


def write(storyboard: Storyboard, media: Media | None, base: Timebase) -> str:
    """A storyboard as an EDL, with captions in comments. Raises StoryboardError for more shots than it numbers."""
    if storyboard.num_shots > MAX_EVENTS:
        raise StoryboardError(
            f"an EDL holds at most {MAX_EVENTS} shots, but there are {storyboard.num_shots}: write an .otio"
        )
    events = []
    spans = on_timeline(storyboard, base)
    for number, ((start, stop), frames) in enumerate(zip(spans, storyboard.shot_ranges, strict=True)):
        scene = [rate_comment(base, storyboard.fps), f"SCENE: {_escaped(storyboard.global_caption)}"]
        caption = f"CAPTION: {_escaped(storyboard.shots[number].caption)}"
        events.append(Event(start, stop, 0, (*(scene if number == 0 else ()), shot_comment(number, frames), caption)))
    return edit_list(media.name if media else storyboard.title or "storyboard", base, events)


def read(text: str, rate: str | None = None) -> Reading:
    """The shots of an EDL on a timeline of this rate; by default of the one that it says, or that its timecode shows.

    Raises StoryboardError for text that is none.
    """
    said = _RATE.search(text)
    told = rate or (said[1] if said and said[1] in TIMELINE_RATES else None)
    base = TIMELINE_RATES[told or _least_rate(text)]
    notes = []
    if told is None:
        notes.append(
            f"an EDL does not say its rate: {base.name} frames a second are taken (--timeline-rate says another)"
        )
    timeline = read_with("cmx_3600", _REEL.sub(_joined, text), "an EDL", rate=float(base.rate))
    shots, more, clips = video_shots(timeline)
    comments = [list(clip.metadata.get("cmx_3600", {}).get("comments", [])) for clip in clips]
    captions = [_said(of_shot, "CAPTION: ") for of_shot in comments]
    frames = [next(filter(None, map(_FRAMES.fullmatch, of_shot)), None) for of_shot in comments]
    scene = _said([comment for of_shot in comments for comment in of_shot], "SCENE: ")
    own = _number(said[2]) if said else None
    if own is not None and all(captions):
        exact = [_exact(shot, match, own, base) for shot, match in zip(shots, frames, strict=True)]
        shots = [Found(caption, *span) for caption, span in zip(captions, exact, strict=True)]
        return Reading(tuple(shots), None, scene, own, notes=(*notes, *more))
    return Reading(tuple(shots), timeline.name or None, None, own, float(base.rate), notes=(*notes, *more))


def _joined(event: re.Match) -> str:
    """An event whose reel is one word: the adapter writes reels with spaces, and reads another field then."""
    return f"{event[1]}{'_'.join(event[2].split())}{event[3]}"


def _exact(shot: Found, match: re.Match | None, fps: float, base: Timebase) -> tuple:
    """When a shot begins and ends: by its frames of the video if those are where it still is."""
    if match is not None:
        times = [int(match[i]) / Fraction(fps).limit_denominator(1001) for i in (2, 3)]
        if all(
            base.frame_at(time) == base.frame_at(at) for time, at in zip(times, (shot.start, shot.stop), strict=True)
        ):
            return tuple(times)
    return shot.start, shot.stop


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if 1 <= number <= 240 else None


def _least_rate(text: str) -> str:
    """The slowest usual rate that has all frames which the timecode of an EDL counts."""
    if re.search(r"^FCM:\s*DROP", text, re.MULTILINE):
        return "29.97df"
    counted = [int(n) for n in re.findall(r"\b\d\d:\d\d:\d\d[:;](\d\d)\b", text)]
    return next((name for name in ("24", "25", "30", "50") if max(counted, default=0) < int(name)), "60")


def _said(comments: Sequence[str], key: str) -> str | None:
    return next((_unescaped(said[len(key) :]) for said in comments if said.startswith(key)), None)


def _escaped(text: str) -> str:
    def escape(match: re.Match) -> str:
        return {"\\": "\\\\", "\n": "\\n"}.get(match[0], f"\\u{ord(match[0]):04x}")

    return _UNSAFE.sub(escape, text)


def _unescaped(text: str) -> str:
    def unescape(match: re.Match) -> str:
        return chr(int(match[1], 16)) if match[1] else {"n": "\n"}.get(match[2], match[2])

    return re.sub(r"\\(?:u([0-9a-f]{4})|(.))", unescape, text)
