"""A storyboard in the terms of a model that knows less of it: what it will make, and what it cannot express."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from holocine.plurals import few
from holocine.storyboard import Storyboard
from holocine.timeline import FRAMES_PER_LATENT


@dataclass(frozen=True)
class Translation:
    """What a model is given for a storyboard.

    storyboard: as it will be run, at the model's rate; it knows the one that was asked for. captions: the texts that
    the model reads, one a shot and then others; common: the one among them that all shots read, None if there is none.
    prompt: the same as its authors write it down. latent_lengths: latent frames of each shot. notes: what the model
    cannot express, a sentence each.
    """

    storyboard: Storyboard
    captions: tuple[str, ...]
    common: int | None
    prompt: str
    latent_lengths: tuple[int, ...]
    notes: tuple[str, ...]


def caption_name(translation: Translation, number: int) -> str:
    """The words that an error names a caption by."""
    shots = translation.storyboard.num_shots
    if number == translation.common:
        return "the global caption"
    if number >= shots:
        return f"the text that opens shot {number - shots + 2} of {shots}"
    return f"the text of shot {number + 1} of {shots}"


def frames_at(storyboard: Storyboard, fps: float) -> tuple[float, ...]:
    """The frame at which each shot was to end, at another rate; not rounded."""
    return tuple(fps * end for end in accumulate(storyboard.shot_seconds))


def nearest_lengths(ends: Sequence[float], total: int) -> tuple[int, ...]:
    """Whole lengths of at least 1, `total` together, whose ends lie as near as can be to those in `ends`.

    The last shot takes what is left. Raises ValueError if there are more shots than `total`.
    """
    if len(ends) > total:
        raise ValueError(f"{len(ends)} shots do not fit into {total} latent frames")
    bounds = [0]
    for number, end in enumerate(ends[:-1], start=1):
        after = len(ends) - number
        bounds.append(min(max(bounds[-1] + 1, round(end)), total - after))
    return tuple(b - a for a, b in pairwise((*bounds, total)))


def latent_frames(frames: float) -> float:
    """Latent frames of a run of frames that the video autoencoder sees by itself; not rounded."""
    return (frames + FRAMES_PER_LATENT - 1) / FRAMES_PER_LATENT


def notes_of(title: str, storyboard: Storyboard, run: Storyboard, makes: str, is_guided: bool = True) -> Iterator[str]:
    """What a model leaves out of a storyboard (see `left_out`), and what is different about its times."""
    yield from left_out(title, storyboard, is_guided)
    yield from timeline_notes(title, run, makes, storyboard.timed)


def left_out(title: str, storyboard: Storyboard, is_guided: bool) -> Iterator[str]:
    """What of a storyboard a model is not given at all, if it begins from no picture and may have no guidance."""
    yield from picture_notes(title, storyboard)
    if not is_guided and storyboard.negative_prompt is not None:
        yield f"{title} has no guidance: the negative prompt of the storyboard is not read"


def picture_notes(title: str, storyboard: Storyboard) -> Iterator[str]:
    """What a model that begins from no picture leaves out of a storyboard."""
    shots = [str(number) for number, shot in enumerate(storyboard.shots, start=1) if shot.has_pictures]
    of = [f"shot{'s'[: len(shots) > 1]} {few(shots)}"] if shots else []
    of += [f"[{character}]" for character in storyboard.references or {}]
    if of:
        yield f"{title} is not given pictures or clips: those of {' and '.join(of)} are not used"


def timeline_notes(title: str, run: Storyboard, makes: str, timed: bool) -> Iterator[str]:
    """What is different about the times of shots from those that were asked for; makes: what the model can do.

    A video of a frame more is as long, one of a frame less was cut off; a cut that is moved by half a frame was between
    two frames.
    timed: whether somebody said when shots begin; else no cut is moved.
    """
    frame, seconds = 1 / run.fps, sum(run.asked.shot_seconds)
    wanted = f"{seconds:.2f} s {'were asked for' if timed else 'are planned'}"
    if not -frame / 2 - 1e-9 <= run.seconds - seconds <= frame + 1e-9:
        yield f"{title} makes {makes}: the video lasts {run.seconds:.2f} s where {wanted}"
    asked = tuple(accumulate(run.asked.shot_seconds))[:-1]
    begun = tuple(cut / run.fps for cut in run.cuts)
    if timed and any(abs(one - other) > frame / 2 + 1e-9 for one, other in zip(asked, begun, strict=True)):
        listed = (few([f"{time:.2f}" for time in times]) for times in (begun, asked))
        there, wanted = listed
        yield f"{title} cuts after {there} s where {wanted} s were asked for"
