"""What a video is compared with: the shots that were asked for, in the time base they were asked in, never moved.

A `Request` is put on the frames of one video by `place`, by seconds, by frames or by share of the duration; `Asked` is
the result, and what metrics look at.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate, pairwise
from typing import Literal

import numpy as np

from holocine.plurals import are, counted
from holocine.storyboard import Storyboard, StoryboardError

Policy = Literal["seconds", "frames", "share"]
POLICIES = ("auto", "seconds", "frames", "share")
UNTIMED = "nobody said where the shots were to begin, only how many: give the cuts"
UNWORDED = "nobody said what the shots were to show, only where they begin: give a prompt or a storyboard"

_SAME_RATE = 0.01  # relative; 23.976 is 24, 29.97 is 30
_ROUNDED = 4  # frames by which a model's own grid may make a video longer or shorter than it was asked for
_SAME_LENGTH = 0.1  # of the asked duration; beyond it a reader is told of the other policy


@dataclass(frozen=True)
class Request:
    """What was asked for.

    storyboard: texts, and the shots as they were asked for. timed: False where nobody said when the shots begin; then
    only the texts and their number count. worded: False where nobody said what they show; then its texts are
    placeholders, and only the shots count. fps: the storyboard's, or None if its frames are those of the video whatever
    its rate. start: seconds of the video before the first shot. policy: how to put it on a video, see `place`.
    """

    storyboard: Storyboard
    timed: bool = True
    worded: bool = True
    fps: float | None = None
    start: float = 0.0
    policy: str = "auto"

    def __post_init__(self) -> None:
        if self.policy not in POLICIES:
            raise StoryboardError(f"the alignment is {self.policy!r}, but has to be one of {', '.join(POLICIES)}")
        if not (math.isfinite(self.start) and self.start >= 0):
            raise StoryboardError(f"start is {self.start!r}, but has to be a number of seconds from 0 up")

    @classmethod
    def of(cls, storyboard: Storyboard, **how) -> Request:
        """The request that a storyboard is; of one that was moved to be run, the one that was asked.

        Of a storyboard without lengths or cuts it is not timed, unless `how` says so: even shots are what a model makes
        of it, not what was asked for. Raises StoryboardError for anything else than a storyboard.
        """
        if not isinstance(storyboard, Storyboard):
            raise StoryboardError(
                f"a request is made of a Storyboard, not of {storyboard!r}: read a file with Storyboard.load, or parse "
                "a prompt with eval.gathering.prompt_request"
            )
        return cls(storyboard.asked, fps=storyboard.fps, **{"timed": storyboard.timed, **how})

    @property
    def written(self) -> Storyboard | None:
        """The storyboard, if somebody wrote one."""
        return self.storyboard if self.worded else None

    @property
    def seconds(self) -> tuple[float, ...]:
        """When each shot was to end, in seconds from the beginning of the first."""
        return tuple(accumulate(self.storyboard.shot_seconds))


@dataclass(frozen=True, eq=False)
class Asked:
    """A request on the frames of one video.

    cuts: the frame of the video at which each shot but the first was to begin; they may lie beyond its end. None if
    the request is not timed. start: the frame at which the first shot was to begin. num_frames: frames that were asked
    for, in frames of the video. policy: how the request was put there, None if it is not timed. scale: seconds of the
    video for one of the request, 1 but for "share". notes: what a reader should know of it, sentences. found: of a
    request that is not timed, the shots of the video in order, one for each caption.
    """

    request: Request
    cuts: tuple[int, ...] | None
    start: int
    num_frames: int
    policy: Policy | None
    scale: float
    notes: tuple[str, ...] = ()
    found: tuple[range, ...] | None = field(default=None, repr=False)

    @property
    def storyboard(self) -> Storyboard:
        """The texts; its frames are not those of the video."""
        return self.request.storyboard

    @property
    def captions(self) -> tuple[str, ...]:
        return self.request.storyboard.captions

    @property
    def num_shots(self) -> int:
        return len(self.captions)

    @property
    def shot_ranges(self) -> tuple[range, ...]:
        """The frames of every shot, not clipped to the video; of a request without times those that were found."""
        if self.cuts is None:
            return self.found or (range(0),) * self.num_shots
        bounds = (self.start, *self.cuts, self.start + self.num_frames)
        return tuple(range(a, b) for a, b in pairwise(bounds))

    def clipped(self, num_frames: int) -> tuple[range, ...]:
        """The frames of every shot that a video of `num_frames` has; some may be empty."""
        return tuple(range(min(r.start, num_frames), min(r.stop, num_frames)) for r in self.shot_ranges)

    def with_found(self, found: Sequence[range]) -> Asked:
        """Of a request without times: its captions beside the shots of the video from `start` on, in order."""
        if self.cuts is not None:
            return self
        found = [range(max(shot.start, self.start), shot.stop) for shot in found if shot.stop > self.start]
        there = tuple(found[: self.num_shots])
        missing = self.num_shots - len(there)
        notes = self.notes
        if len(found) != self.num_shots:
            notes += (
                f"{self.num_shots} shots were asked for and {len(found)} {are(len(found))} there: captions and shots "
                "were matched in order, what is left over was left out",
            )
        end = found[-1].stop if found else 0
        return replace(self, found=(*there, *[range(end, end)] * missing), notes=notes)


def place(request: Request, num_frames: int, fps: float, times: np.ndarray | None = None) -> Asked:
    """Put a request on a video of `num_frames` frames at `fps`.

    times: when each frame is shown and when the last one ends, in seconds, (T + 1,); i / fps if None.

    "seconds": a shot begins on the frame that is shown closest to its time. "frames": on the frame of its number,
    whatever the rates. "share": after its share of the duration. "auto" takes frames where the rates or the numbers of
    frames are the same, or where the request's frames are the video's own, and else seconds.

    Raises StoryboardError if no shot has a frame.
    """
    times = np.arange(num_frames + 1) / fps if times is None else times
    mean_rate = num_frames / float(times[-1] - times[0])  # a file of variable rate may name another
    policy = _chosen(request, num_frames, mean_rate) if request.policy == "auto" else request.policy
    own = request.fps is None  # its frames are those of this very video, which no policy moves
    if own:
        policy = "frames"
    duration = float(times[-1]) - request.start
    first = _frame_at(request.start, times, fps)
    if duration <= 0 or first >= num_frames:
        raise StoryboardError(
            f"no shot of the storyboard has a frame: the scene was to begin after {request.start:g} s, but the video "
            f"ends after {times[-1]:.4g} s"
        )
    if not request.timed:
        notes = (UNTIMED,) if len(request.storyboard.shots) > 1 else ()
        return Asked(request, None, first, num_frames - first, None, 1.0, notes)
    if policy == "frames":
        scale = 1.0
        # `cut_request` counts the frames before the scene at the mean rate: counted so again, its cuts stay in place.
        before = round(request.start * request.storyboard.fps) if own else first
        ends = [before + end for end in accumulate(shot.num_frames for shot in request.storyboard.shots)]
        first = min(first, ends[0] - 1)
    else:
        scale = duration / request.seconds[-1] if policy == "share" else 1.0
        ends = [_frame_at(request.start + scale * end, times, fps) for end in request.seconds]
    asked = Asked(request, tuple(ends[:-1]), first, ends[-1] - first, policy, scale)
    notes = _notes_of_own_frames(asked, num_frames) if own else _notes(asked, num_frames, fps, duration)
    return replace(asked, notes=tuple(notes))


def _chosen(request: Request, num_frames: int, fps: float) -> Policy:
    board = request.storyboard
    if request.fps is None or abs(num_frames - board.num_frames) <= _ROUNDED:
        return "frames"
    return "frames" if math.isclose(request.fps, fps, rel_tol=_SAME_RATE) else "seconds"


def _frame_at(seconds: float, times: np.ndarray, fps: float) -> int:
    """The frame that begins closest to a time; of times beyond the end, the one that would."""
    if seconds > times[-1]:
        return len(times) - 1 + round((seconds - times[-1]) * fps)
    return int(np.abs(times - seconds).argmin())


def _notes_of_own_frames(asked: Asked, num_frames: int) -> Iterator[str]:
    """What is to be said of cuts at frames of the video itself; a sentence each."""
    for number, cut in enumerate(asked.cuts or (), start=2):
        if cut >= num_frames:
            yield (
                f"the video has {counted(num_frames, 'frame')} and ends before the cut at frame {cut}: shot {number} "
                f"of {asked.num_shots} never comes, which counts against it, so look whether that is what you meant"
            )


def _notes(asked: Asked, num_frames: int, fps: float, duration: float) -> Iterator[str]:
    """What is to be said where a video and its request do not have the same frames; a sentence each."""
    request, wanted = asked.request, asked.start + asked.num_frames
    if wanted != num_frames and not (asked.policy != "frames" and abs(wanted - num_frames) == 1):
        than = "fewer" if wanted > num_frames else "more"
        yield (
            f"the video has {counted(num_frames, 'frame')}, {abs(wanted - num_frames)} {than} than the {wanted} of its "
            "storyboard: it was scored on what is there"
        )
    for number, shot in enumerate(asked.shot_ranges, start=1):
        there = max(0, min(shot.stop, num_frames) - shot.start)
        if there < len(shot) and not (asked.policy != "frames" and there == len(shot) - 1):  # rounded
            yield f"shot {number} of {asked.num_shots}: {there} of its {counted(len(shot), 'frame')} {are(there)} there"
    if asked.policy == "share":
        as_long = math.isclose(asked.scale, 1, rel_tol=_SAME_RATE)
        lasts = "as long as" if as_long else f"{asked.scale:.4g} times as long as"
        yield f"shots were compared by their share of the duration: the video lasts {lasts} was asked for"
    elif not math.isclose(request.fps, fps, rel_tol=_SAME_RATE):
        how = "frame by frame" if asked.policy == "frames" else "by seconds"
        yield (
            f"the video has {fps:.4g} frames a second and its storyboard {request.fps:.4g}: shots were compared {how}"
        )
    lasts, all_there = request.seconds[-1], asked.policy == "frames" and abs(num_frames - wanted) <= _ROUNDED
    if request.policy == "auto" and not all_there and not math.isclose(duration, lasts, rel_tol=_SAME_LENGTH):
        yield (
            f"the video lasts {duration:.4g} s and {lasts:.4g} s were asked for: if it shows the whole scene at "
            "another pace, align it by share"
        )
