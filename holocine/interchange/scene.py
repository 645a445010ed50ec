"""What a file of a film tool holds of a scene, and how that becomes a storyboard.

Readers find shots by their times. A file that this program wrote may hold the whole storyboard as well: that is what it
says, exactly, unless someone has changed the shots in it since; then those that are as they were keep what they had.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate
from pathlib import Path
from typing import Any

from holocine.interchange.timebase import Timebase
from holocine.plurals import counted
from holocine.storyboard import Shot, Storyboard, StoryboardError
from holocine.storyboard_input import DEFAULT_FPS, DEFAULT_NUM_FRAMES

ENCLOSED = "holocine-storyboard/1"
_SAME = 1e-6  # seconds


@dataclass(frozen=True)
class Media:
    """The video that a storyboard was made into: what film tools call it, where it is, and its pictures' size.

    url: absolute where it is known, else the name of a file beside.
    """

    name: str
    url: str
    width: int | None = None
    height: int | None = None

    @classmethod
    def of(cls, path: str | Path, size: tuple[int, int] | None = None) -> Media:
        """That of a video file on this machine."""
        path = Path(path)
        return cls(path.name, path.resolve().as_uri(), *(size or (None, None)))


@dataclass(frozen=True)
class Found:
    """A shot in a file: its caption, and from when to when it is shown, in seconds; None where the file has no time."""

    caption: str
    start: float | Fraction | None = None
    stop: float | Fraction | None = None

    @property
    def seconds(self) -> float | Fraction | None:
        return None if self.start is None or self.stop is None else self.stop - self.start


@dataclass(frozen=True)
class Reading:
    """What a reader found in a file.

    fps: frames a second of the storyboard, timeline_fps: of the timeline that it is on, None where the file does not
    say. enclosed: the storyboard that this program put there. notes: sentences.
    """

    shots: tuple[Found, ...]
    title: str | None = None
    global_caption: str | None = None
    fps: float | None = None
    timeline_fps: float | None = None
    enclosed: Storyboard | None = None
    notes: tuple[str, ...] = ()


def on_timeline(storyboard: Storyboard, base: Timebase) -> list[tuple[int, int]]:
    """The shots of a storyboard in frames of a timeline (half-open), each on the frame that is nearest in time.

    Raises StoryboardError for a shot that is shorter than a frame there.
    """
    fps = Fraction(storyboard.fps).limit_denominator(1001)
    points = [base.frame_at(frame / fps) for frame in (0, *storyboard.cuts, storyboard.num_frames)]
    spans = list(zip(points, points[1:], strict=False))
    for number, (start, stop) in enumerate(spans, start=1):
        if stop <= start:
            raise StoryboardError(
                f"shot {number} of {storyboard.num_shots}: is shorter than a frame of a timeline with {base.name} "
                "frames a second: make it longer, or choose a faster timeline"
            )
    return spans


def conformed(storyboard: Storyboard, base: Timebase) -> tuple[str, ...]:
    """What a timeline at another rate than the storyboard's moves, as a sentence; none where nothing is."""
    if abs(storyboard.fps / base.rate - 1) < 1e-4:
        return ()
    spans = on_timeline(storyboard, base)
    ends = (*storyboard.cuts, storyboard.num_frames)
    moved = max(
        abs(stop / base.rate - end / _exact(storyboard.fps)) for (_, stop), end in zip(spans, ends, strict=True)
    )
    how = (
        f"cuts are on the frame nearest in time, at most {1000 * float(moved):.0f} ms away" if moved else "no cut moves"
    )
    return (f"{storyboard.fps:.6g} frames a second are put on a timeline of {base.name}: {how}",)


def enclose(storyboard: Storyboard) -> dict[str, Any]:
    """The storyboard as plain JSON that `enclosed_in` knows."""
    return {"format": ENCLOSED, "storyboard": json.loads(storyboard.to_json())}


def enclosed_in(content: Any) -> Storyboard | None:
    """The storyboard in what `enclose` made, which may be text; None in anything else."""
    try:
        content = json.loads(content) if isinstance(content, str) else json.loads(json.dumps(content))
    except (TypeError, ValueError, RecursionError):
        return None
    if not isinstance(content, dict) or content.get("format") != ENCLOSED:
        return None
    try:
        return Storyboard.model_validate(content.get("storyboard"))
    except StoryboardError as error:
        raise StoryboardError(f"the storyboard that is enclosed in it is damaged: {error}") from None


def to_storyboard(
    reading: Reading,
    as_written: Reading | None,
    name: str,
    fps: float | None = None,
    global_caption: str | None = None,
    usual_fps: float | None = None,
) -> tuple[Storyboard, tuple[str, ...]]:
    """The storyboard that a file holds, and what had to be made up or changed, a sentence each.

    as_written: what a file of the enclosed storyboard reads as, None if there is none. name: the scene's, where the
    file has no title and no global caption. fps, global_caption: in place of the file's. usual_fps: frames a second
    where the file does not say the storyboard's; that of its timeline by default.
    """
    if not reading.shots:
        raise StoryboardError("there are no shots in it")
    notes, old = list(reading.notes), reading.enclosed
    rate = fps or (old.fps if old else reading.fps) or usual_fps or reading.timeline_fps
    if rate is None:
        rate = DEFAULT_FPS
        if reading.shots[0].start is not None:
            notes.append(f"it does not say how many frames a second there are: {DEFAULT_FPS:g} are taken")
    if old is not None and as_written is not None:
        fields = {key: value for key, value in dict(old).items() if key != "shots"}
        if reading.global_caption != as_written.global_caption and (reading.global_caption or "").strip():
            fields["global_caption"] = reading.global_caption
        if _same(reading.shots, as_written.shots) and rate == old.fps:
            shots: Sequence[Any] = old.shots
        else:
            notes.append("it was changed since it was written: shots are as they are in it now")
            shots = _changed(reading.shots, as_written.shots, old, rate)
    else:
        fields = {"title": reading.title, "global_caption": reading.global_caption}
        shots = _timed(reading.shots, rate, notes)
        if global_caption is None and not (reading.global_caption or "").strip():
            fields["global_caption"] = (reading.title or "").strip() or name
            notes.append(
                f"there is no global caption in it: {fields['global_caption']!r} stands for it, which says little of "
                "the setting and of who is in it"
            )
    fields |= {"fps": float(rate), "shots": shots}
    if global_caption is not None:
        fields["global_caption"] = global_caption
    if fields.get("references"):
        text = " ".join([fields["global_caption"], *(shot.caption for shot in shots)]).lower()
        fields["references"] = {k: v for k, v in fields["references"].items() if f"[{k}]" in text} or None
    return Storyboard.model_validate({key: value for key, value in fields.items() if value is not None}), tuple(notes)


def _same(shots: Sequence[Found], others: Sequence[Found]) -> bool:
    return len(shots) == len(others) and all(
        shot.caption == other.caption and _as_long(shot, other) for shot, other in zip(shots, others, strict=True)
    )


def _as_long(shot: Found, other: Found) -> bool:
    if shot.seconds is None or other.seconds is None:
        return shot.seconds is other.seconds
    return abs(shot.seconds - other.seconds) < _SAME


def _timed(shots: Sequence[Found], fps: float, notes: list[str]) -> list[Any]:
    """Shots with whole frames whose cuts are nearest in time, however long the film; evenly long if there is no time.

    What is between shots is not time of the storyboard. Those too short for a frame are left out, which is noted.
    """
    if any(shot.seconds is None for shot in shots):
        if len(shots) > DEFAULT_NUM_FRAMES:
            raise StoryboardError(f"there are {len(shots)} shots without times in it, more than frames")
        notes.append(f"there are no times in it: {DEFAULT_NUM_FRAMES} frames are divided evenly")
        even = Storyboard.from_captions("-", ["-"] * len(shots)).shots
        return [Shot(caption=shot.caption, num_frames=e.num_frames) for shot, e in zip(shots, even, strict=True)]
    ends = [round(end * _exact(fps)) for end in accumulate(Fraction(shot.seconds) for shot in shots)]
    lengths = [end - start for start, end in zip((0, *ends), ends, strict=False)]
    kept = [Shot(caption=s.caption, num_frames=n) for s, n in zip(shots, lengths, strict=True) if n > 0]
    if len(kept) < len(shots):
        left_out = counted(len(shots) - len(kept), "shot")
        notes.append(f"shorter than a frame at {fps:g} frames a second and left out: {left_out}")
    if not kept:
        raise StoryboardError("no shot in it lasts a frame")
    return kept


def _exact(fps: float) -> Fraction:
    return Fraction(fps).limit_denominator(1001)


def _changed(shots: Sequence[Found], as_written: Sequence[Found], old: Storyboard, fps: float) -> list[Shot]:
    """The shots as they are now: those that are as they were written keep all that they had."""
    unused = list(range(len(as_written)))
    made = []
    origins: list[int | None] = []
    for shot in shots:
        origin = next((i for i in unused if as_written[i].caption == shot.caption), None)
        if origin is not None:
            unused.remove(origin)
        origins.append(origin)
    for number, (shot, origin) in enumerate(zip(shots, origins, strict=True)):
        if origin is None and len(shots) == len(as_written) and number in unused:  # another caption
            origin, caption = number, shot.caption
        else:
            caption = shot.caption if origin is None else old.shots[origin].caption
        if origin is not None and fps == old.fps and _as_long(shot, as_written[origin]):
            made.append(old.shots[origin].model_copy(update={"caption": caption}))
            continue
        average = old.num_frames / old.num_shots / old.fps
        seconds = next((s for s in (shot.seconds, origin is not None and old.shot_seconds[origin]) if s), average)
        frames = max(1, round(seconds * _exact(fps)))
        base = Shot(caption=caption, num_frames=frames) if origin is None else old.shots[origin]
        made.append(base.model_copy(update={"caption": caption, "num_frames": frames, "seconds": None}))
    return made
