"""Shot size, camera movement and camera angle as the picture shows them, against what the captions ask for. All ours.

Only requested shots whose caption asks are counted (`eval.film_terms`). The camera's movement is that of the
background (`eval.flow`), added up over the shot; a movement counts from a share of the picture on, so that an unsteady
camera is still static. The shot size is that of the main figure: in the theatre by how wide it is, on real footage by
a face or a figure in heads (`eval.framing`), with CLIP's words as a second opinion (`eval.film_words`); where these
contradict each other nothing is said. A neighbouring term is still right, as film people draw these lines differently.
The angle is told by CLIP's words alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from eval.boxes import Box
from eval.encoders.theatre import is_of_the_theatre
from eval.evidence import Evidence
from eval.figure import figure_share
from eval.film_terms import CAMERAS, SIZES, asked_angle, asked_camera, asked_scale, asked_size, steps_apart
from eval.flow import Motion, motion
from eval.framing import heads_by_face, heads_by_figure, term_of
from eval.metric import Measured, Metric
from holocine.prompt import character_tags

# What counts as a movement, over a whole shot: half of the least that the theatre's camera does.
_SHIFT = 0.085  # of the picture's width
_GROWTH = 0.085  # of the picture's size, as a logarithm
# Shares of the picture between wide and medium, medium and close-up; set on 60 scenes of the theatre.
_SHARES = (0.13, 0.224)
_WIDTHS = (0.45, 0.68)  # the same of the width of a located figure in heights of the picture; on 16 other scenes
_LOOKED_AT = 5  # pictures a shot
_UNCLEAR = "no angle's words fit it clearly better than those of the others"


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
    of = sum(asked_scale(caption) is not None for caption in evidence.asked.captions)
    if not of:
        return Measured.absent("no caption asks for a shot size")
    size_of_shot = _theatre_size if is_of_the_theatre(evidence.asked.storyboard) else _film_size
    detail = [
        {"shot": index + 1, **size_of_shot(evidence, shot, caption)}
        for index, (caption, shot) in enumerate(zip(evidence.asked.captions, evidence.shots, strict=True))
        if asked_scale(caption) is not None and len(shot)
    ]
    return _of_shots(detail, of, "no shot that asks for a size has frames in this video")


def _of_shots(detail: list[dict], of: int, nothing: str) -> Measured:
    """The mean over shots; those that nothing can be said of are left out, and the reason says why."""
    left_out = "; ".join(f"shot {shot['shot']}: {shot['why']}" for shot in detail if shot["value"] is None)
    measured = Measured.mean_of([shot["value"] for shot in detail], left_out or nothing, of, detail)
    return replace(measured, reason=left_out) if left_out and measured.parts else measured


def _theatre_size(evidence: Evidence, shot: range, caption: str) -> dict:
    """The size of a shot of the theatre: by how wide its largest figure is, or where nobody located any, by colour."""
    wanted = asked_size(caption)
    if evidence.sightings is not None:
        widths = _widths(evidence.sightings.figures, shot, evidence.footage.size[1])
        number = {"width": float(np.median(widths))} if widths else {}
        seen = SIZES[int(np.digitize(number["width"], _WIDTHS))] if widths else "nobody"
    else:
        frames = np.unique(np.linspace(shot.start, shot.stop - 1, _LOOKED_AT).round().astype(int))
        number = {"figure": figure_share(evidence.footage.pictures[frames])}
        seen = size_of(number["figure"])
    return {"asked": " or ".join(wanted), "seen": seen, "value": float(seen in wanted), **number}


def _widths(figures: Mapping[int, Sequence[Box]], shot: range, height: int) -> list[float]:
    """How wide the largest figure is in each frame of a shot that shows any, in heights of the picture."""
    return [
        max(box[2] - box[0] for box in boxes) / height for frame, boxes in figures.items() if frame in shot and boxes
    ]


def _film_size(evidence: Evidence, shot: range, caption: str) -> dict:
    """The size of a shot of real footage: by a face or a figure, unless CLIP's words contradict it."""
    wanted = asked_scale(caption)
    asked = {"asked": " or ".join(wanted)}
    heads, by = _heads(evidence, shot, caption)
    if heads is None:
        return {**asked, "seen": None, "value": None, "why": by}
    seen, words = term_of(heads), _in_words(evidence, "size", shot)
    found = {**asked, "seen": seen, "heads": heads, "by": by, "words": words}
    if words is not None and steps_apart(seen, words) > 1:
        why = f"by its {by} it is a {seen} shot, and CLIP's words call it {words}"
        return {**found, "value": None, "why": why}
    return {**found, "value": float(min(steps_apart(seen, term) for term in wanted) <= 1)}


def _heads(evidence: Evidence, shot: range, caption: str) -> tuple[float | None, str]:
    """How many heads high the picture is in a shot, and by what; or None, and the reason."""
    size, faces = evidence.footage.size, evidence.faces
    looked = [found for frame, found in (faces or {}).items() if frame in shot]
    with_face = [found[0] for found in looked if found]
    # One picture of many in which something looks like a face is an error of the detector.
    if with_face and 3 * len(with_face) >= len(looked) and (len(with_face) > 1 or len(looked) < 3):
        return float(np.median([heads_by_face(face, size) for face in with_face])), "face"
    heads = [heads_by_figure(figure, size) for figure in _main_figures(evidence, shot, caption)]
    known = [value for value in heads if value is not None]
    if known:
        return float(np.median(known)), "figure"
    if heads:
        return None, "the figure fills the picture, and its face cannot be seen"
    if faces is None:
        return None, evidence.why("faces")
    where = "" if evidence.sightings is not None else f", and {evidence.why('sightings')}"
    return None, f"no face is seen{where}"


def _main_figures(evidence: Evidence, shot: range, caption: str) -> list[Box]:
    """The largest of the characters that a shot asks for, or of all figures, in each frame that shows any."""
    if evidence.sightings is None:
        return []
    named = [evidence.sightings.boxes[tag] for tag in character_tags(caption) if tag in evidence.sightings.boxes]
    main = []
    for frame, figures in evidence.sightings.figures.items():
        if frame in shot:
            boxes = [of_tag[frame] for of_tag in named if frame in of_tag] or figures
            main += [max(boxes, key=lambda box: (box[2] - box[0]) * (box[3] - box[1]))] if boxes else []
    return main


def _in_words(evidence: Evidence, kind: str, shot: range) -> str | None:
    """What CLIP calls a shot; None if it has no opinion."""
    opinion = evidence.words.get(kind)
    vector = evidence.clip.mean_within(shot) if opinion is not None and evidence.clip is not None else None
    return None if vector is None else opinion.of(vector)[0]


def _camera_angle(evidence: Evidence) -> Measured:
    if evidence.asked is None:
        return Measured.absent(evidence.why("asked"))
    asked = [asked_angle(caption) for caption in evidence.asked.captions]
    of = sum(wanted is not None for wanted in asked)
    if not of:
        return Measured.absent("no caption asks for a camera angle")
    if is_of_the_theatre(evidence.asked.storyboard):
        return Measured.absent("camera angles are told by film's words, which the theatre's own CLIP does not know", of)
    if "angle" not in evidence.words or evidence.clip is None:
        return Measured.absent(evidence.why("clip" if evidence.clip is None else "words"), of)
    detail = []
    for index, (wanted, shot) in enumerate(zip(asked, evidence.shots, strict=True)):
        if wanted and len(shot):
            seen = _in_words(evidence, "angle", shot)
            told = {"value": float(seen == wanted)} if seen is not None else {"value": None, "why": _UNCLEAR}
            detail.append({"shot": index + 1, "asked": wanted, "seen": seen, **told})
    return _of_shots(detail, of, "no shot that asks for an angle has frames in this video")


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
        version=3,
        group="adherence",
        direction="higher",
        range=(0, 1),
        source="ours; the height of face or figure in heads (Bordwell and Thompson, Film Art) against film's terms in "
        "captions",
        absent_when="there is no storyboard, no caption asks for a shot size, or no face or figure is seen",
        meaning="Share of shots as wide or close as the caption asks, within one step of film's scale.",
        measure=_shot_size,
    ),
    Metric(
        name="camera_angle",
        version=1,
        group="adherence",
        direction="higher",
        range=(0, 1),
        source="ours; CLIP's words for angles, calibrated on pictures of nothing (after Zhao et al., ICML 2021)",
        absent_when="there is no storyboard, no caption asks for a camera angle, or no CLIP for real footage is loaded",
        meaning="Share of shots seen from the angle that the caption asks for; a guess among six is right in 17 %.",
        measure=_camera_angle,
    ),
)
