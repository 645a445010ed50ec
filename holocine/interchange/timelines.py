"""Timelines of OpenTimelineIO: its adapters, and the shots of a timeline that anybody made."""

from __future__ import annotations

import json
import math
import re
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from holocine.errors import first_line
from holocine.interchange.scene import Found
from holocine.plurals import counted
from holocine.storyboard import StoryboardError

if TYPE_CHECKING:
    import opentimelineio as otio


MAX_DEPTH = 200  # of lists in lists; where there are thousands, OpenTimelineIO ends the process


def read_json(text: str) -> otio.schema.Timeline:
    """The timeline in a file of OpenTimelineIO's own; raises StoryboardError if it holds none."""
    what, deep = "an OpenTimelineIO file", True
    try:
        json.loads(text)  # says where a fault is
        marks = (mark[0] for mark in re.finditer(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', text))
        deep = max(accumulate({"[": 1, "{": 1, "]": -1, "}": -1}.get(mark, 0) for mark in marks), default=0) > MAX_DEPTH
    except RecursionError:
        pass
    except ValueError as error:
        raise StoryboardError(f"is damaged, or not {what}: {first_line(error)}") from None
    if deep:
        raise StoryboardError(f"is damaged, or not {what}: it is nested more than {MAX_DEPTH} deep")
    return read_with("otio_json", text, what)


def read_with(adapter: str, text: str, what: str, **how: Any) -> otio.schema.Timeline:
    """The timeline in a text; raises StoryboardError, which calls the text `what`, if it holds none."""
    import opentimelineio as otio

    try:
        found = otio.adapters.read_from_string(text, adapter, **how)
    except Exception as error:  # adapters let out whatever a damaged file leads them to
        raise StoryboardError(f"is damaged, or not {what}: {first_line(error)}") from None
    if isinstance(found, otio.schema.SerializableCollection):
        found = next(iter(found.find_children(descended_from_type=otio.schema.Timeline)), None)
    if isinstance(found, otio.schema.Track | otio.schema.Stack):
        stack = found if isinstance(found, otio.schema.Stack) else otio.schema.Stack(children=[found.clone()])
        found = otio.schema.Timeline(found.name)
        found.tracks = stack.clone()
    if not isinstance(found, otio.schema.Timeline):
        raise StoryboardError(f"there is no timeline in it, which {what} of a film has")
    return found


def video_shots(timeline: otio.schema.Timeline) -> tuple[list[Found], list[str], list[Any]]:
    """The clips of a timeline as shots, named by their markers or else by themselves; sentences; and the clips.

    Where several video tracks lie over each other, what is seen of them. A dissolve is a cut in its middle, gaps and
    sound are left out. Raises StoryboardError for a timeline without pictures.
    """
    import opentimelineio as otio

    try:
        tracks = [track for track in timeline.tracks if _shows(track)]
        if not tracks:
            raise StoryboardError("there is no picture in it: no video track has a clip")
        notes = []
        track = tracks[0]
        if len(tracks) > 1:
            track = otio.algorithms.flatten_stack([track.clone() for track in tracks])
            notes.append(f"{counted(len(tracks), 'video track')} lie over each other: what is seen of them is taken")
        return _shots_of(track, notes)
    except StoryboardError:
        raise
    except Exception as error:  # a clip without a range, times that are no numbers: OTIO finds them when asked
        raise StoryboardError(f"its timeline is damaged: {first_line(error)}") from None


def _shows(track: Any) -> bool:
    import opentimelineio as otio

    if isinstance(track, otio.schema.Track):
        return track.kind == otio.schema.TrackKind.Video and track.enabled and any(map(_is_picture, track))
    return _is_picture(track)


def _is_picture(item: Any) -> bool:
    import opentimelineio as otio

    return isinstance(item, otio.core.Item) and not isinstance(item, otio.schema.Gap) and item.enabled


def _shots_of(track: Any, notes: list[str]) -> tuple[list[Found], list[str], list[Any]]:
    import opentimelineio as otio

    items = list(track) if isinstance(track, otio.schema.Track) else [track]
    shots: list[Found] = []
    clips: list[Any] = []
    at, shift, gaps, dissolves = 0.0, 0.0, 0, 0
    for item in items:
        if isinstance(item, otio.schema.Transition):
            shift = (item.out_offset.to_seconds() - item.in_offset.to_seconds()) / 2
            dissolves += 1
            continue
        seconds = item.duration().to_seconds()
        if not (math.isfinite(seconds) and seconds >= 0):
            raise StoryboardError(f"its clip {item.name!r} lasts {seconds:g} seconds")
        start, stop = at, at + seconds
        if not _is_picture(item):
            gaps += seconds > 0
        elif seconds > 0:
            before = shots[-1] if shots and abs(shots[-1].stop - at) < 1e-9 else None
            if before is not None and before.start < at + shift < stop:
                start = at + shift
                shots[-1] = Found(before.caption, before.start, start)
            shots.append(Found(_name(item, len(shots) + 1), start, stop))
            clips.append(item)
        at, shift = stop, 0.0
    if gaps:
        notes.append(f"a storyboard has no gaps: {counted(gaps, 'gap')} left out")
    if dissolves:
        notes.append(f"a storyboard has cuts only: {counted(dissolves, 'transition')} became a cut in the middle")
    return shots, notes, clips


def _name(item: Any, number: int) -> str:
    """What a clip shows, as far as its timeline says: a marker's text, the clip's name, or its number."""
    texts = (text for marker in getattr(item, "markers", ()) for text in (marker.comment, marker.name))
    return next((text.strip() for text in (*texts, item.name) if text and text.strip()), f"Shot {number}")
