"""Wan's own text-to-video models: what they were made for, and what they make of a storyboard."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from holocine.families.translation import frames_at, nearest_lengths, timeline_notes
from holocine.plurals import counted
from holocine.prompt import stated_shots
from holocine.storyboard import Shot, Storyboard
from holocine.timeline import FRAMES_PER_LATENT, snap

# Height and width of stock Wan, and of Wan2.2-TI2V-5B, the one that expands timesteps.
SIZE, SIZE_5B = (480, 832), (704, 1280)


@dataclass(frozen=True)
class Limits:
    """fps; frames: at most; height, width: pixels."""

    fps: float
    frames: int
    height: int
    width: int


GRID = f"{FRAMES_PER_LATENT}t + 1 frames"  # what the video autoencoder makes, and may be cut at

WAN = Limits(16.0, 81, *SIZE)  # Wan2.1 and Wan2.2-A14B
WAN_5B = Limits(24.0, 121, *SIZE_5B)  # Wan2.2-TI2V-5B


def limits_of(expand_timesteps: bool) -> Limits:
    """The limits of a pipeline; expand_timesteps: its config's, which only Wan2.2-TI2V-5B has."""
    return WAN_5B if expand_timesteps else WAN


def beyond_limits(storyboard: Storyboard, limits: Limits) -> Iterator[str]:
    """What of a storyboard is more than Wan was made for."""
    if storyboard.num_frames > limits.frames:
        yield (
            f"Wan was made for at most {limits.frames} frames at {limits.fps:g} frames a second, and this scene has "
            f"{counted(storyboard.num_frames, 'frame')}: expect it to repeat itself or to fall apart"
        )


def as_wan_runs(storyboard: Storyboard, limits: Limits = WAN) -> tuple[Storyboard, Storyboard, tuple[str, ...]]:
    """What Wan is told, the storyboard on the frames that it makes, and what it cannot express."""
    ends = frames_at(storyboard, limits.fps)
    wanted = snap(round(ends[-1]))
    total = min(limits.frames, wanted)
    scale = min(1.0, total / ends[-1])
    most = f"at most {limits.frames} frames at {limits.fps:g} frames a second"
    makes = most if wanted > total else GRID
    run = storyboard.run_on(nearest_lengths([scale * end for end in ends], total), limits.fps, f"Wan makes {makes}")
    one = as_one_shot(storyboard)
    told = one.model_copy(update={"fps": limits.fps, "shots": (one.shots[0].model_copy(update={"num_frames": total}),)})
    return told, run, tuple(whole_text_notes("Wan", run, makes, storyboard.timed))


def whole_text_notes(title: str, run: Storyboard, makes: str, timed: bool) -> Iterator[str]:
    """What a model that reads all captions as one text cannot express; arguments as of `timeline_notes`."""
    if run.num_shots > 1:
        yield f"{title} is told of no cut: it reads the captions of all shots as one text"
    yield from (note for note in timeline_notes(title, run, makes, timed) if " makes " in note)


def as_one_shot(storyboard: Storyboard) -> Storyboard:
    """All of a storyboard's text, the number of its shots included, as one shot: the model is told no cut.

    Character tags stay: the text that introduces them is there.
    """
    count = "" if stated_shots(storyboard.global_caption) else f" This scene contains {storyboard.num_shots} shots."
    return storyboard.model_copy(
        update={
            "global_caption": storyboard.global_caption + count,
            "shots": (Shot(caption=" ".join(storyboard.captions), num_frames=storyboard.num_frames),),
        }
    )
