"""A second look at the boundaries that a shot detector found, on thumbnails: light that changes is no cut.

A jump of brightness looks like a cut to a network that was trained on cuts. So the pictures on both sides of every
boundary are compared once more with the light of one given to the other (scikit-image's `match_histograms`): where
nothing else differs, or where the picture is back after a flash or some black frames, there is no change of shot. That
takes a few milliseconds a boundary, and frames that no boundary lies at are not looked at.

A fade through black or white is one change of shot, in the middle of what is blank: its halves alone look like light
that changes, so the pictures at both its ends are compared. A dissolve is a change of shot like a cut; see
`eval.metrics.transitions`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from eval.evidence import Boundary

FLASH = 3  # frames that may lie between a picture and its coming back
FLAT = 4.0  # levels; a picture whose values deviate by less, such as a black one, resembles nothing
# A change of light leaves less than this share of the difference (mean over pixels) once histograms are matched, and at
# most so much 1 - correlation; where things move, as much more as frames up to _NEAR before and after it differ from
# their neighbours, but never more than _MOVED. Of rendered and real cuts, overexposed by up to 80 and 120 %, the least
# share was .27, and the least 1 - correlation of those below .35 was .34, at least 1.8 times that of the frames beside.
# Flicker of 10 to 30 %, flashes and lamps that are switched had at most .25, and .06 to .1, 1.05 times that beside.
_LEFT, _UNLIKE, _MOVED, _AS_BESIDE, _NEAR = 0.26, 0.08, 0.2, 1.25, 4
_FADE, _BLANK, _WHOLE = 20, 2 * FLAT, 0.9  # frames that a half of a fade lasts at most; of the contrast of its picture
_BRIGHTER = 1.25  # times as bright as the pictures before and after it a flash is, at least


def without_changes_of_light(found: Sequence[Boundary], thumbnails: np.ndarray) -> tuple[Boundary, ...]:
    """The boundaries that are more than a change of light, fades as one each; thumbnails are uint8 (T, 27, 48, 3)."""
    contrast = thumbnails.std(axis=(1, 2, 3))
    kept: dict[int, Boundary] = {}
    for boundary in found:
        fade = _fade(boundary, thumbnails, contrast)
        if fade is not None:
            kept.setdefault(fade.frame, fade)
        elif not any(_goes_on(thumbnails, *pair) for pair in _pairs(boundary, thumbnails)):
            kept.setdefault(boundary.frame, boundary)
    return tuple(kept[frame] for frame in sorted(kept))


def _fade(boundary: Boundary, thumbnails: np.ndarray, contrast: np.ndarray) -> Boundary | None:
    """The whole of the fade through a blank picture that a gradual boundary is of, from picture to picture.

    contrast: the standard deviation of each thumbnail. None where nothing blank is near, where there is no picture on
    one side, and where it is the same on both.
    """
    if boundary.kind != "gradual":
        return None
    near = range(max(0, boundary.start - _FADE), min(len(contrast), boundary.stop + _FADE))
    blank = min(near, key=lambda frame: contrast[frame])
    earlier, later = contrast[max(0, blank - 2 * _FADE) : blank], contrast[blank + 1 : blank + 1 + 2 * _FADE]
    if contrast[blank] >= _BLANK or min(earlier.max(initial=0.0), later.max(initial=0.0)) < 2 * _BLANK:
        return None
    first = blank - len(earlier) + int(np.flatnonzero(earlier >= _WHOLE * earlier.max())[-1])
    last = blank + 1 + int(np.flatnonzero(later >= _WHOLE * later.max())[0])
    if _compared(thumbnails[first], thumbnails[last])[0] <= _MOVED:
        return None
    empty = [frame for frame in range(first + 1, last) if contrast[frame] < _BLANK]
    return replace(boundary, frame=(empty[0] + empty[-1] + 1) // 2, start=first + 1, stop=last)


def _pairs(boundary: Boundary, thumbnails: np.ndarray) -> Iterator[tuple[int, int, bool]]:
    """Frames before and after a boundary whose pictures may be the same, and whether there is a flash between them.

    First those that lie beside it, then those with up to FLASH frames between them, all before it or all after it, that
    show nothing or are brighter than both.
    """
    before, after = boundary.frame - 1, boundary.frame
    if boundary.kind == "gradual":
        before, after = max(0, boundary.start - 1), min(len(thumbnails) - 1, boundary.stop)
    yield before, after, False
    for length in range(1, FLASH + 1):
        for first, last, between in (
            (before, after + length, range(after, after + length)),
            (before - length, after, range(before - length + 1, before + 1)),
        ):
            inside = first >= 0 and last < len(thumbnails)
            if inside and all(_is_flash(thumbnails[frame], thumbnails[[first, last]]) for frame in between):
                yield first, last, True


def _is_flash(picture: np.ndarray, around: np.ndarray) -> bool:
    """Whether a picture shows nothing, or is brighter than both of those `around` it (2, 27, 48, 3)."""
    return bool(picture.std() < FLAT or picture.mean() > _BRIGHTER * around.mean((1, 2, 3)).max())


def _goes_on(thumbnails: np.ndarray, before: int, after: int, flash: bool) -> bool:
    """Whether two frames show the same picture; unless there is a flash between them, in another light."""
    unlike, left = _compared(thumbnails[before], thumbnails[after])
    if unlike > _MOVED or not (flash or left < _LEFT):
        return False
    if unlike <= _UNLIKE:
        return True
    beside = (*range(max(0, before - _NEAR), before), *range(after, min(after + _NEAR, len(thumbnails) - 1)))
    moves = (_compared(*thumbnails[frame : frame + 2])[0] for frame in beside)
    return unlike <= _AS_BESIDE * max(moves, default=0.0)


def _compared(one: np.ndarray, other: np.ndarray) -> tuple[float, float]:
    """How unlike two pictures (27, 48, 3) are in the same light, as 1 - correlation, and the share of their difference
    that is left there; 2 and 1 where one of them shows nothing.
    """
    # The darker one is given the light of the brighter one: what is clipped there cannot be brought back.
    darker, brighter = sorted((one, other), key=np.mean)
    if min(darker.std(), brighter.std()) < FLAT:
        return 2.0, 1.0
    from skimage.exposure import match_histograms

    matched = match_histograms(darker, brighter, channel_axis=-1)
    if matched.std() == 0:
        return 2.0, 1.0
    # Without their colours, which matching makes equal, lest flat pictures of different colours look alike.
    shapes = (picture - picture.mean((0, 1)) for picture in (matched, brighter))
    unlike = 1 - np.corrcoef(*(shape.ravel() for shape in shapes))[0, 1]
    difference, left = (np.abs(picture.astype(np.float32) - brighter).mean() for picture in (darker, matched))
    return float(unlike), float(left / difference) if difference else 0.0
