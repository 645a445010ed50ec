"""What a scene is given instead of being made: latent frames of shots that others are made to fit.

A retake keeps all shots but one, a continuation those that its new shots shall see, a picture the first or the last
latent frame of a shot. They are one mechanism: `Kept` says which latent frames are given and as what, `placed` puts
them on a layout, and `holocine.locking` holds them in place while the others are denoised.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from holocine.storyboard import Storyboard
from holocine.timeline import num_frames_of

if TYPE_CHECKING:
    import torch

PARTS = ("whole", "first", "last")


class KeepError(ValueError):
    """What is to be kept does not fit the scene or the model. The message is one sentence with the remedy."""


@dataclass(frozen=True, eq=False)
class Kept:
    """Latent frames of one shot that are given.

    shot: which, counted from 1. part: the "whole" shot, or its "first" or "last" latent frame.
    latents: (channels, latent frames, latent height, latent width), as the pipeline denoises them; or None: then the
        VAE encodes `frames`. made_by: the `vae_fingerprint` of the VAE that they are of, None where nobody knows.
    frames: (frames, height, width, 3) uint8, the pictures that the video shows there, bit for bit; or None: then it
        shows the latents as they are decoded. For "first" and "last" it may be one picture, which is held for all
        frames of the latent frame and shown as it is in the first, or the last, of them.
    fps: frames a second of what is given, None for a picture or where it does not matter.
    """

    shot: int
    part: str = "whole"
    latents: torch.Tensor | None = None
    frames: np.ndarray | None = None
    made_by: str | None = None
    fps: float | None = None

    def __post_init__(self) -> None:
        if self.part not in PARTS:
            raise KeepError(f"part {self.part!r} is unknown; choose one of {', '.join(PARTS)}")
        if self.latents is None and self.frames is None:
            raise KeepError(f"shot {self.shot}: nothing is given to keep; give latents, frames, or both")


@dataclass(frozen=True, eq=False)
class Placed:
    """A `Kept` on a storyboard: the latent frames and the frames that it fixes, and whether pictures are held."""

    kept: Kept
    latent_frames: range
    frames: range

    @property
    def shown(self) -> range:
        """The frames that its own pictures are shown in: all, or one if only one picture is given for several."""
        if self.kept.frames is None:
            return range(0)
        if len(self.kept.frames) == len(self.frames):
            return self.frames
        return self.frames[:1] if self.kept.part == "first" else self.frames[-1:]

    @property
    def pictures(self) -> np.ndarray:
        """A picture for each of its frames, to be encoded: (frames, height, width, 3) uint8."""
        frames = self.kept.frames
        return frames if len(frames) == len(self.frames) else np.repeat(frames, len(self.frames), axis=0)


def keep_shots(source: Any, shots: Sequence[int] | Mapping[int, int], item: int = 0) -> list[Kept]:
    """Keep shots of what a pipeline made (a `HoloCineOutput`), latents and frames alike.

    shots: their numbers, from 1; or a mapping {number in the new scene: number in `source`}. item: which video of a
    batch. Raises `KeepError` for a shot that is not there or an output without latents.
    """
    if source.latents is None:
        raise KeepError("the output has no latents to keep; take them from a pipeline's output")
    storyboard, latents = source.storyboards[item], source.latents[item]
    frames = source.frames[item] if isinstance(source.frames, list) else None
    frames = frames if isinstance(frames, np.ndarray) else None
    return keep_of_video(storyboard, shots, latents, frames, source.made_by)


def keep_of_video(
    storyboard: Storyboard,
    shots: Sequence[int] | Mapping[int, int],
    latents: torch.Tensor | None = None,
    frames: np.ndarray | None = None,
    made_by: str | None = None,
) -> list[Kept]:
    """Keep shots of a video of `storyboard` (as run): its latents (channels, latent frames, …), its frames, or both."""
    if isinstance(shots, str) or not isinstance(shots, Mapping | Iterable):
        raise KeepError(f"the shots to keep are {shots!r}, but have to be a list of numbers from 1, such as [1, 3]")
    pairs = shots.items() if isinstance(shots, Mapping) else [(shot, shot) for shot in shots]
    layout, kept = storyboard.layout(1, 1), []
    for shot, origin in pairs:
        check_shot(origin, storyboard)
        start, length = layout.shot_starts[origin - 1], layout.shot_lengths[origin - 1]
        span = storyboard.shot_ranges[origin - 1]
        kept.append(
            Kept(
                shot,
                latents=None if latents is None else latents[:, start : start + length],
                frames=None if frames is None else frames[span.start : span.stop],
                made_by=None if latents is None else made_by,
                fps=storyboard.fps,
            )
        )
    return kept


def keep_picture(shot: int, picture: np.ndarray, part: str = "first") -> Kept:
    """Begin (or end, with part "last") a shot with a picture (height, width, 3) uint8 of the size of the video."""
    if part == "whole":
        raise KeepError("a picture is the first or the last of a shot; give a clip to fix a whole one")
    return Kept(shot, part, frames=np.asarray(picture)[None])


def check_shot(shot: int, storyboard: Storyboard) -> None:
    """Raise `KeepError` unless the storyboard has a shot of this number."""
    if not isinstance(shot, int) or isinstance(shot, bool) or not 1 <= shot <= storyboard.num_shots:
        raise KeepError(
            f"there is no shot {shot}: the scene has {storyboard.num_shots}, numbered from 1"
            if storyboard.num_shots > 1
            else f"there is no shot {shot}: the scene has one shot, number 1"
        )


def placed(kept: Sequence[Kept], storyboard: Storyboard) -> list[Placed]:
    """Put what is kept on a storyboard (as run), in its order.

    Raises `KeepError` for a shot that is not there, a latent frame given twice, another length or frame rate, and where
    nothing, or everything, is kept.
    """
    if not kept:
        raise KeepError("nothing is kept: leave keep out, or say which shots to keep")
    layout, found, taken = storyboard.layout(1, 1), [], {}
    for given in kept:
        check_shot(given.shot, storyboard)
        where = f"shot {given.shot} of {storyboard.num_shots}"
        start, length = layout.shot_starts[given.shot - 1], layout.shot_lengths[given.shot - 1]
        latent_frames = {
            "whole": range(start, start + length),
            "first": range(start, start + 1),
            "last": range(start + length - 1, start + length),
        }[given.part]
        place = Placed(given, latent_frames, frames_of(latent_frames))
        _check_length(place, where)
        if given.fps is not None and given.fps != storyboard.fps:
            raise KeepError(
                f"{where}: what is kept has {given.fps:g} frames a second and the scene {storyboard.fps:g}; "
                f"give the scene fps {given.fps:g}"
            )
        for frame in latent_frames:
            if frame in taken:
                raise KeepError(
                    f"{where}: its {given.part} part and its {taken[frame]} part are the same latent frame; keep one"
                )
            taken[frame] = given.part
        found.append(place)
    if len(taken) == layout.num_latent_frames:
        raise KeepError(f"all {storyboard.num_shots} shots are kept, so there is nothing to make: leave one out")
    return sorted(found, key=lambda place: place.latent_frames.start)


def frames_of(latent_frames: range) -> range:
    """The frames that latent frames stand for: the first for one frame, every other for four."""
    return range(num_frames_of(latent_frames.start), num_frames_of(latent_frames.stop))


def _check_length(place: Placed, where: str) -> None:
    kept, wanted = place.kept, len(place.frames)
    if kept.frames is not None:
        shape = kept.frames.shape
        if kept.frames.dtype != np.uint8 or len(shape) != 4 or shape[-1] != 3:
            raise KeepError(
                f"{where}: kept frames are {kept.frames.dtype} {shape}, but have to be uint8 (frames, height, width, 3)"
            )
        if len(kept.frames) != wanted and (kept.part == "whole" or len(kept.frames) != 1):
            raise KeepError(
                f"{where}: {len(kept.frames)} frames are kept for {wanted}; give as many, or the shot another length"
            )
    if kept.latents is not None and (kept.latents.ndim != 4 or kept.latents.shape[1] != len(place.latent_frames)):
        raise KeepError(
            f"{where}: latents of shape {tuple(kept.latents.shape)} are kept for {len(place.latent_frames)} latent "
            "frames; give as many, or the shot another length"
        )


def check_fits(places: Sequence[Placed], latent_shape: Sequence[int], size: tuple[int, int], made_by: str) -> None:
    """Raise `KeepError` for latents of another model or another size than the run's.

    latent_shape: (channels, latent height, latent width); size: (height, width) in pixels; made_by: the fingerprint of
    the run's VAE.
    """
    channels, height, width = latent_shape
    for place in places:
        kept = place.kept
        if kept.frames is not None and kept.frames.shape[1:3] != tuple(size):
            given = "x".join(map(str, kept.frames.shape[2:0:-1]))
            raise KeepError(
                f"shot {kept.shot}: kept pictures are {given} pixels and the video {size[1]}x{size[0]}; "
                f"make the video in {given}, or resize them first"
            )
        if kept.latents is None:
            continue
        if kept.made_by is not None and kept.made_by != made_by:
            raise KeepError(
                f"shot {kept.shot}: the kept latents are of another model's VAE; "
                "use the model that made them, or keep frames, which any VAE can encode"
            )
        given = tuple(kept.latents.shape)
        if (given[0], *given[2:]) != (channels, height, width):
            raise KeepError(
                f"shot {kept.shot}: the kept latents have {given[0]} channels of {given[3]}x{given[2]} and the model's "
                f"{channels} of {width}x{height}; make the video in their size, with the model that made them"
            )


_KEEP = "it has to be what keep_shots(output, [1, 3]) returns, a list of it for each storyboard, or None"


def kept_of_each(
    keep: Kept | Sequence[Kept] | Sequence[Sequence[Kept] | None] | None, count: int
) -> list[Sequence[Kept]] | None:
    """What is kept of each of `count` storyboards; None where `keep` is None."""
    if keep is None:
        return None
    if isinstance(keep, Kept):
        keep = [keep]
    if isinstance(keep, str) or not isinstance(keep, Iterable):
        raise KeepError(f"keep is {keep!r}: {_KEEP}")
    keep = list(keep)
    if not keep:
        raise KeepError("nothing is kept: leave keep out, or say which shots to keep")
    if any(not isinstance(given, Kept | Sequence | None) or isinstance(given, str) for given in keep):
        raise KeepError(f"keep is {keep!r}: {_KEEP}")
    if all(isinstance(given, Kept) for given in keep):
        if count > 1:
            raise KeepError(f"keep is one list for {count} storyboards; give a list of lists, one for each")
        return [keep]
    if len(keep) != count:
        raise KeepError(f"keep has {len(keep)} lists for {count} storyboards; give one for each, None for nothing")
    return [() if given is None else [given] if isinstance(given, Kept) else list(given) for given in keep]


def whole_shots(places: Sequence[Placed]) -> frozenset[int]:
    """The shots, from 0, that are kept whole."""
    return frozenset(place.kept.shot - 1 for place in places if place.kept.part == "whole")
