"""Shot size and camera movement as the picture shows them, against what the captions ask for. Both are ours.

Only requested shots whose caption asks are counted (`eval.film_terms`). The camera's movement is that of the background
(`eval.flow`), added up over the shot; a movement counts from a share of the picture on, so that an unsteady camera is
still static. The shot size is read from how much of the picture the main figure fills (`eval.figure`), which is only
known to work in the puppet theatre, so elsewhere it is None.
"""

from __future__ import annotations

import numpy as np

from eval.encoders.theatre import is_of_the_theatre
from eval.evidence import Evidence
from eval.figure import figure_share
from eval.film_terms import CAMERAS, SIZES, asked_camera, asked_size
from eval.flow import Motion, motion
from eval.metric import Measured, Metric

# What counts as a movement, over a whole shot: half of the least that the theatre's camera does.
_SHIFT = 0.085  # of the picture's width
_GROWTH = 0.085  # of the picture's size, as a logarithm
# Shares of the picture between wide and medium, medium and close-up; set on 60 scenes of the theatre.
_SHARES = (0.13, 0.224)
_LOOKED_AT = 5  # pictures a shot


def camera_of(total: np.ndarray) -> str:
    """Name the movement, of `CAMERAS`, behind a background that moves by (right, down, log growth) over a shot.

    A camera that pans to the left moves the picture to the right, one that tilts up moves it down.
    """
    right, down, growth = total / (_SHIFT, _SHIFT, _GROWTH)
    strengths = dict(zip(CAMERAS[1:], (right, -right, down, -down, growth, -growth), strict=True))
    strongest = max(strengths, key=strengths.__getitem__)
    return strongest if strengths[strongest] >= 1 else "static"


def size_of(share: float) -> str:
    """Name the shot size, of `SIZES`, of a shot whose main figure fills a share of the picture."""
    return SIZES[int(np.digitize(share, _SHARES))]


def _movement(found: Motion, shot: range) -> np.ndarray | None:
    """The background's (right, down, log growth) over a requested shot, None if less than half of it can be seen."""
    inside = found.within(shot)
    if 2 * inside.sum() * found.step < len(shot) - 2 or not inside.any():
        return None
    return found.camera[inside].mean(0) * (len(shot) - 1) / found.step


def _camera_movement(evidence: Evidence) -> Measured:
    if evidence.asked is None:
        return Measured.absent(evidence.why("asked"))
    asked = [asked_camera(caption) for caption in evidence.asked.captions]
    of = sum(wanted is not None for wanted in asked)
    if not of:
        return Measured.absent("no caption asks for a camera movement that can be told from the picture")
    found, detail = motion(evidence), []
    for index, (wanted, shot) in enumerate(zip(asked, evidence.shots, strict=True)):
        movement = _movement(found, shot) if wanted else None
        if movement is not None:
            seen = camera_of(movement)
            numbers = dict(zip(("right", "down", "growth"), map(float, movement), strict=True))
            detail.append({"shot": index + 1, "asked": wanted, "seen": seen, "value": float(seen == wanted), **numbers})
    nothing = "no shot that asks for a camera movement is long enough to show one"
    return Measured.mean_of([shot["value"] for shot in detail], nothing, of, detail)


def _shot_size(evidence: Evidence) -> Measured:
    if evidence.asked is None:
        return Measured.absent(evidence.why("asked"))
    asked = [asked_size(caption) for caption in evidence.asked.captions]
    of = sum(wanted is not None for wanted in asked)
    if not of:
        return Measured.absent("no caption asks for a shot size")
    if not is_of_the_theatre(evidence.asked.storyboard):
        return Measured.absent("shot sizes can be told from the picture in the puppet theatre only", of=of)
    detail = []
    for index, (wanted, shot) in enumerate(zip(asked, evidence.shots, strict=True)):
        if wanted and len(shot):
            frames = np.unique(np.linspace(shot.start, shot.stop - 1, _LOOKED_AT).round().astype(int))
            share = figure_share(evidence.footage.pictures[frames])
            seen = size_of(share)
            detail.append(
                {"shot": index + 1, "asked": " or ".join(wanted), "seen": seen, "value": float(seen in wanted)}
                | {"figure": share}
            )
    nothing = "no shot that asks for a size has frames in this video"
    return Measured.mean_of([shot["value"] for shot in detail], nothing, of, detail)


METRICS: tuple[Metric, ...] = (
    Metric(
        name="camera_movement",
        version=1,
        group="adherence",
        direction="higher",
        range=(0, 1),
        source="ours; the background's optical flow against static, pan, tilt and zoom in the captions",
        absent_when="there is no storyboard, or no caption asks for a camera movement",
        meaning="Share of shots whose camera moves as the caption asks; a guess among seven is right in 14 %.",
        measure=_camera_movement,
    ),
    Metric(
        name="shot_size",
        version=2,
        group="adherence",
        direction="higher",
        range=(0, 1),
        source="ours; the share of the picture that the main figure fills against wide, medium, close-up in captions",
        absent_when="there is no storyboard, no caption asks for a shot size, or it is not one of the puppet theatre",
        meaning="Share of shots as wide or close as the caption asks; a guess among three is right in 33 %.",
        measure=_shot_size,
    ),
)
