"""Frames, latent frames and tokens: where shots begin and end on each of the three scales.

Wan's video autoencoder keeps frame 0 as a latent frame of its own and joins every 4 frames after it, so a video of
4t + 1 frames has t + 1 latent frames and a cut can only fall on a frame 4t + 1, the first of its latent frame.
HoloCine (arXiv 2510.20822) gives every shot whole latent frames; `ShotLayout` is that division for one resolution.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

import numpy as np

from holocine.plurals import are

FRAMES_PER_LATENT = 4


def snap(n: int) -> int:
    """Return the frame (or frame count) of the form 4t + 1 nearest to `n`, at least 1.

    A tie goes to the even t, as Python's `round` does: 3 becomes 1, 7 becomes 9.
    """
    return FRAMES_PER_LATENT * max(0, round((n - 1) / FRAMES_PER_LATENT)) + 1


def is_snapped(n: int) -> bool:
    """Tell whether `n` is a frame (or frame count) of the form 4t + 1."""
    return n >= 1 and n % FRAMES_PER_LATENT == 1


def latent_frame(frame: int) -> int:
    """Return the latent frame that holds `frame` (both 0-based)."""
    return (frame + FRAMES_PER_LATENT - 1) // FRAMES_PER_LATENT


def num_latent_frames(num_frames: int) -> int:
    """Return how many latent frames a video of `num_frames` (4t + 1) frames has: t + 1."""
    return (num_frames - 1) // FRAMES_PER_LATENT + 1


def num_frames_of(num_latent_frames: int) -> int:
    """Return how many frames the first `num_latent_frames` latent frames of a video stand for: 4t + 1, or none."""
    return max(0, FRAMES_PER_LATENT * (num_latent_frames - 1) + 1)


class TooManyFrames(ValueError):
    """A video longer than a model has positions for, which are enough for `most` frames."""

    def __init__(self, message: str, most: int) -> None:
        super().__init__(message)
        self.most = most


def check_positions(num_frames: int, most: int) -> None:
    """Raise `TooManyFrames` if a video of `num_frames` has more latent frames than a model has positions (`most`)."""
    if num_latent_frames(num_frames) > most:
        longest = num_frames_of(most)
        raise TooManyFrames(
            f"the video has {num_frames:,} frames, but this model has positions for {longest:,} only: shorten it",
            longest,
        )


def check_size(height: int, width: int, pixels_per_token: Sequence[int], most: int) -> None:
    """Raise ValueError if pictures have more rows or columns of tokens than a model has positions (`most`).

    height, width: pixels. pixels_per_token: down and across.
    """
    for name, pixels, step in zip(("height", "width"), (height, width), pixels_per_token, strict=True):
        if pixels > most * step:
            raise ValueError(
                f"{name} is {pixels:,} pixels, but this model has positions for {most * step:,} only: take fewer"
            )


def spread_cuts(num_shots: int, num_frames: int) -> tuple[int, ...]:
    """Return cuts, all 4t + 1, that divide `num_frames` frames evenly: shots differ by at most 4 frames.

    `num_frames` counts as the nearest 4t + 1. Cuts are those nearest to even ones, as HoloCine's code has them, except
    where shots would then differ by more. Raises ValueError if there are more shots than latent frames.
    """
    if num_shots < 1:
        raise ValueError(f"{num_shots} shots: a video has at least 1 shot")
    nearest = tuple(snap(round(i * (num_frames / num_shots))) for i in range(1, num_shots))
    lengths = [end - start for start, end in pairwise((0, *nearest, snap(num_frames)))]
    if min(lengths) > 0 and max(lengths) - min(lengths) <= FRAMES_PER_LATENT:
        return nearest
    steps = num_latent_frames(snap(num_frames)) - 1
    if steps < num_shots - 1:
        raise ValueError(
            f"{num_shots} shots cannot be spread over {num_frames} frames; give more frames or fewer shots "
            f"(a shot has at least one latent frame, and there {are(steps + 1)} {steps + 1})"
        )
    # Rounded down, the first shot, which has a frame more, is never one of those that have a step more.
    return tuple(FRAMES_PER_LATENT * (i * steps // num_shots) + 1 for i in range(1, num_shots))


def check_cuts(cuts: Sequence[int], num_frames: int) -> None:
    """Raise ValueError, naming the shot, unless `cuts` (in frames) increase strictly inside a video of `num_frames`.

    A cut is the first frame of every shot but the first, so 0 < cut < num_frames. Whether cuts are 4t + 1 is not
    looked at; after snapping, two of them may have become the same frame.
    """
    num_shots = len(cuts) + 1
    previous = 0
    for shot, cut in enumerate(cuts, start=2):
        where = f"shot {shot} of {num_shots}: cut at frame {cut}"
        if cut <= 0:
            raise ValueError(
                f"{where} is not after the first frame of the video (frame 0), where shot 1 begins: leave it out"
            )
        if cut <= previous:
            raise ValueError(f"{where} is not after the previous cut (frame {previous})")
        if cut >= num_frames:
            raise ValueError(
                f"{where} is beyond the end of the video ({num_frames} frames, the last is {num_frames - 1})"
            )
        previous = cut


@dataclass(frozen=True)
class ShotLayout:
    """A video's shots in latent frames and tokens, for one resolution.

    Tokens run over latent frames, then rows, then columns, as the transformer flattens them, so a shot is one
    contiguous run of tokens.

    shot_lengths: latent frames of each shot, all at least 1.
    height, width: tokens down and across one latent frame (after the transformer's patches), not pixels.
    """

    shot_lengths: tuple[int, ...]
    height: int
    width: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "shot_lengths", tuple(int(length) for length in self.shot_lengths))
        if not self.shot_lengths:
            raise ValueError("shot_lengths is empty: a layout has at least 1 shot")
        for shot, length in enumerate(self.shot_lengths, start=1):
            if length < 1:
                raise ValueError(
                    f"shot {shot} of {self.num_shots}: {length} latent frames, but every shot needs at least 1"
                )
        if self.height < 1 or self.width < 1:
            raise ValueError(f"a latent frame of {self.height} x {self.width} tokens is empty; both must be at least 1")

    @classmethod
    def from_cuts(cls, num_frames: int, cuts: Sequence[int], height: int, width: int) -> ShotLayout:
        """Lay out a video of `num_frames` frames that is cut at `cuts` (frames; all of them 4t + 1).

        height, width: tokens down and across one latent frame. Raises ValueError if a value is not 4t + 1, or if cuts
        do not increase strictly inside the video.
        """
        if not is_snapped(num_frames):
            raise ValueError(f"num_frames {num_frames} is not of the form 4t + 1; the nearest is {snap(num_frames)}")
        check_cuts(cuts, num_frames)
        for shot, cut in enumerate(cuts, start=2):
            if not is_snapped(cut):
                raise ValueError(
                    f"shot {shot} of {len(cuts) + 1}: cut at frame {cut} is not of the form 4t + 1; "
                    f"the nearest is {snap(cut)}"
                )
        bounds = [0, *map(latent_frame, cuts), num_latent_frames(num_frames)]
        return cls(tuple(end - start for start, end in pairwise(bounds)), height, width)

    @property
    def num_shots(self) -> int:
        return len(self.shot_lengths)

    @property
    def num_latent_frames(self) -> int:
        return sum(self.shot_lengths)

    @property
    def tokens_per_frame(self) -> int:
        """Tokens of one latent frame."""
        return self.height * self.width

    @property
    def num_tokens(self) -> int:
        return self.num_latent_frames * self.tokens_per_frame

    @property
    def shot_starts(self) -> tuple[int, ...]:
        """The first latent frame of each shot."""
        return tuple(accumulate(self.shot_lengths[:-1], initial=0))

    @property
    def token_slices(self) -> tuple[slice, ...]:
        """The tokens of each shot."""
        per_frame = self.tokens_per_frame
        return tuple(
            slice(start * per_frame, (start + length) * per_frame)
            for start, length in zip(self.shot_starts, self.shot_lengths, strict=True)
        )

    @property
    def shot_ids(self) -> np.ndarray:
        """The shot of each latent frame: int64, shape (num_latent_frames,)."""
        return np.repeat(np.arange(self.num_shots), self.shot_lengths)
