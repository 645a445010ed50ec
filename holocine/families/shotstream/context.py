"""Which frames of the finished shots ShotStream shows to the next one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from holocine.families.shotstream.prompt import FRAMES_PER_SHOT

NUM_CONTEXT = 6


def context_frames(finished: int) -> tuple[tuple[int, int], ...]:
    """The frames that a shot sees of `finished` shots before it: (shot, frame of it), both from 0; () for the first.

    The six are divided evenly among the last six shots, the most recent ones get what is left over, and those of a shot
    are spread from its first frame to its last (halves rounded to even).
    """
    return spread([FRAMES_PER_SHOT] * finished)


def spread(lengths: Sequence[int]) -> tuple[tuple[int, int], ...]:
    """The same of shots of any lengths, in frames or latent frames; of a short shot a frame may come twice."""
    if not lengths:
        return ()
    each, more = divmod(NUM_CONTEXT, len(lengths))
    counts = [each + (len(lengths) - shot <= more) for shot in range(len(lengths))]
    shown = [np.linspace(0, n - 1, count).round().astype(int) for n, count in zip(lengths, counts, strict=True)]
    return tuple((shot, int(frame)) for shot, frames in enumerate(shown) for frame in frames)


def flags(finished: int) -> tuple[tuple[int, ...], int]:
    """The numbers of the context frames and of the new ones, by which their rotary phases differ.

    A context frame has that of its shot, the first shot's empty context has 0; new frames have the next, at least 1.
    """
    context = tuple(shot for shot, _ in context_frames(finished)) or (0,) * NUM_CONTEXT
    return context, context[-1] + 1
