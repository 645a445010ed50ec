"""OpenTimelineIO, the master: shots are clips, captions their markers, the whole storyboard is in the metadata."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from holocine.interchange.scene import Found, Media, Reading, enclose, enclosed_in, on_timeline
from holocine.interchange.timebase import Timebase
from holocine.interchange.timelines import read_json, video_shots
from holocine.storyboard import Storyboard

KEY = "holocine"  # of our metadata


def write(storyboard: Storyboard, media: Media | None, base: Timebase) -> str:
    """A storyboard as the JSON of a timeline at this rate; its clips are of the video, or of none."""
    import opentimelineio as otio

    rate = float(base.rate)

    def span(start: int, stop: int) -> Any:
        at, length = (otio.opentime.RationalTime(frames, rate) for frames in (start, stop - start))
        return otio.opentime.TimeRange(at, length)

    spans = on_timeline(storyboard, base)
    timeline = otio.schema.Timeline(storyboard.title or (media.name if media else "storyboard"))
    timeline.metadata[KEY] = _plain(enclose(storyboard))
    track = otio.schema.Track("V1", kind=otio.schema.TrackKind.Video)
    timeline.tracks.append(track)
    captions = map(_plain, storyboard.captions)
    for number, ((start, stop), caption) in enumerate(zip(spans, captions, strict=True), start=1):
        reference = otio.schema.MissingReference()
        if media is not None:
            reference = otio.schema.ExternalReference(media.url, span(0, spans[-1][1]))
            reference.name = media.name
        clip = otio.schema.Clip(f"Shot {number}", reference, span(start, stop))
        clip.metadata[KEY] = {"shot": number, "caption": caption}
        marker = otio.schema.Marker(" ".join(caption.split()), span(start, start + 1))
        marker.color, marker.comment = otio.schema.MarkerColor.CYAN, caption
        marker.metadata[KEY] = {"is": "caption"}
        clip.markers.append(marker)
        track.append(clip)
    return otio.adapters.write_to_string(timeline, "otio_json") + "\n"


def read(text: str, rate: str | None = None) -> Reading:
    """The shots of a timeline that anybody made; `rate` has no meaning here, as every time says its own.

    Raises StoryboardError for text that is none.
    """
    timeline = read_json(text)
    shots, notes, clips = video_shots(timeline)
    captions = [_caption(clip) for clip in clips]
    if not any(captions):
        notes.insert(0, whence(clips))
    shots = [
        Found(caption or shot.caption, shot.start, shot.stop) for caption, shot in zip(captions, shots, strict=True)
    ]
    enclosed = enclosed_in(_plain(timeline.metadata.get(KEY)))
    return Reading(tuple(shots), timeline.name or None, None, None, _fps(clips), enclosed, tuple(notes))


def whence(clips: list[Any]) -> str:
    """Where the captions of clips are from that this program did not write, as a sentence."""
    marked = sum(any(marker.comment or marker.name for marker in getattr(clip, "markers", ())) for clip in clips)
    if marked == len(clips):
        return "the texts of the markers are taken for captions"
    if marked:
        return "the texts of the markers, or the clips' names where there are none, are taken for captions"
    return "there are no captions in it: the clips' names stand for them"


def _caption(clip: Any) -> str | None:
    """The caption that this program gave a clip, as someone may have changed it in a marker since."""
    for marker in getattr(clip, "markers", ()):
        if marker.metadata.get(KEY) and marker.comment.strip():
            return marker.comment
    said = clip.metadata.get(KEY)
    caption = said.get("caption") if hasattr(said, "get") else None
    return caption if isinstance(caption, str) and caption.strip() else None


def _plain(value: Any) -> Any:
    """OTIO's own mappings and lists as ordinary ones; texts without NUL, at which it would end them."""
    if isinstance(value, str):
        return value.replace("\0", "\ufffd")
    if isinstance(value, Mapping):
        return {key: _plain(part) for key, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, Sequence) else value


def _fps(clips: list[Any]) -> float | None:
    """How many frames a second the first clip counts, None for what no storyboard has."""
    rate = clips[0].duration().rate if clips else 0.0
    return rate if 1 <= rate <= 240 else None
