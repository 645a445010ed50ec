"""The formats of film tools by the ending of a file's name, and what none of them can hold of a storyboard."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from holocine.files import replacing
from holocine.interchange import edl, final_cut, fountain, open_timeline, shot_list, subtitles
from holocine.interchange.scene import Media, Reading, conformed, to_storyboard
from holocine.interchange.timebase import Timebase, own_timebase
from holocine.plurals import listed
from holocine.storyboard import Storyboard, StoryboardError
from holocine.storyboard_input import errors_name

_ALL = ("title", "global_caption", "fps", "seed", "negative_prompt", "references", "seconds", "pictures")
_NAMED = {
    "global_caption": "the global caption",
    "fps": "frames a second",
    "negative_prompt": "the negative prompt",
    "references": "pictures of characters",
    "seconds": "lengths in seconds that are no whole frames",
    "pictures": "pictures of shots",
    "title": "the title",
    "seed": "the seed",
}


@dataclass(frozen=True)
class Format:
    """One format: `write(storyboard, media, timebase)` and `read(text, timeline rate)`.

    carries: what of a storyboard comes back, beside shots, captions and frames. on_timeline: it counts frames at a rate
    of film.
    """

    name: str
    ending: str
    write: Callable[[Storyboard, Media | None, Timebase], str]
    read: Callable[[str, str | None], Reading]
    carries: tuple[str, ...] = _ALL
    on_timeline: bool = False
    media_type: str = "text/plain"


FORMATS = {
    known.ending: known
    for known in (
        Format("OpenTimelineIO", ".otio", open_timeline.write, open_timeline.read, on_timeline=True),
        Format("CMX 3600 EDL", ".edl", edl.write, edl.read, edl.CARRIES, on_timeline=True),
        Format("FCPXML", ".fcpxml", final_cut.write, final_cut.read, on_timeline=True),
        Format("SubRip", ".srt", subtitles.write_srt, subtitles.read_srt, ()),
        Format("WebVTT chapters", ".vtt", subtitles.write_vtt, subtitles.read_vtt),
        Format("Fountain", ".fountain", fountain.write, fountain.read),
        Format("CSV shot list", ".csv", shot_list.write, shot_list.read, shot_list.CARRIES),
    )
}


@dataclass(frozen=True)
class Written:
    """The text of a file, and what is worth knowing of it, a sentence each."""

    text: str
    notes: tuple[str, ...]


def write_text(
    storyboard: Storyboard, ending: str, media: Media | None = None, timeline_rate: str | None = None
) -> Written:
    """A storyboard in the format of files with this ending.

    media: the video that it was made into. timeline_rate: one of TIMELINE_RATES; by default the storyboard's own where
    film has it, else the next one. Raises StoryboardError for what the format cannot hold at all, and ValueError for
    another rate.
    """
    known = find_format(ending)
    base = own_timebase(storyboard.fps, timeline_rate)
    text = known.write(storyboard, media, base)
    lost = [_NAMED[part] for part in _ALL if part not in known.carries and _has(storyboard, part)]
    notes = conformed(storyboard, base) if known.on_timeline else ()
    if lost:
        notes = (*notes, f"{known.name} has no place for {listed(lost)}: a file of it does not bring that back")
    if _changed_lines(storyboard) and ending == ".srt":
        notes = (*notes, "SubRip has no empty lines: those of captions are left out")
    return Written(text, notes)


def read_text(
    text: str,
    ending: str,
    name: str = "storyboard",
    fps: float | None = None,
    global_caption: str | None = None,
    timeline_rate: str | None = None,
    usual_fps: float | None = None,
) -> tuple[Storyboard, tuple[str, ...]]:
    """The storyboard in the text of a file with this ending, and what had to be made up, a sentence each.

    name: of the scene, where the text has none. fps, global_caption: in place of the text's. usual_fps: in place of the
    timeline's where the text does not say the storyboard's own. Raises StoryboardError, in one sentence, for what holds
    none.
    """
    known = find_format(ending)
    if not text.strip():
        raise StoryboardError("is empty")
    reading = known.read(text, timeline_rate)
    as_written = None
    if reading.enclosed is not None:
        # The same clips may be of a video or of none, and on a timeline of any rate: only captions and times count.
        base = own_timebase(reading.enclosed.fps, timeline_rate)
        if reading.timeline_fps:
            base = own_timebase(reading.timeline_fps)
        as_written = known.read(known.write(reading.enclosed, None, base), timeline_rate)
    return to_storyboard(reading, as_written, name, fps, global_caption, usual_fps)


def find_format(ending: str) -> Format:
    """The format of files with this ending; raises StoryboardError for another."""
    known = FORMATS.get(ending.lower())
    if known is None:
        raise StoryboardError(f"{ending!r} is no format of a film tool; these are {', '.join(FORMATS)}")
    return known


def save(
    storyboard: Storyboard, path: str | Path, media: Media | None = None, timeline_rate: str | None = None
) -> tuple[str, ...]:
    """Write a storyboard to a file in the format of its ending, and return what is worth knowing of it."""
    path = Path(path)
    written = write_text(storyboard, path.suffix, media, timeline_rate)
    with replacing(path) as temporary:
        temporary.write_bytes(written.text.encode())
    return written.notes


def load(
    path: str | Path,
    fps: float | None = None,
    global_caption: str | None = None,
    timeline_rate: str | None = None,
) -> tuple[Storyboard, tuple[str, ...]]:
    """Read the storyboard in a file by its ending; every StoryboardError names the file."""
    path = Path(path)
    with errors_name(path):
        find_format(path.suffix)
        text = path.read_bytes().decode("utf-8-sig")
        return read_text(text, path.suffix, path.stem, fps, global_caption, timeline_rate)


def _has(storyboard: Storyboard, part: str) -> bool:
    if part == "seconds":
        return any(shot.seconds is not None for shot in storyboard.shots)
    if part == "pictures":
        return any(shot.has_pictures for shot in storyboard.shots)
    return bool(getattr(storyboard, part)) or part == "seed" and storyboard.seed is not None


def _changed_lines(storyboard: Storyboard) -> bool:
    return any(not line.strip() for caption in storyboard.captions for line in caption.splitlines())
