"""Continuity of light and grading: do shots of one place look as if they were lit and graded alike?

Compared are the palettes of the backgrounds of every two requested shots that share a setting (`eval.palette`). Whether
they do is read from the picture: what another light does to a palette is one gain a channel, so two shots whose
palettes are alike after the best gain can be of one place, and what that gain had to mend is the difference of light.
Shots of other places, or of the same place from where other things are seen, are not compared.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np

from eval.evidence import Evidence
from eval.metric import Measured, Metric
from eval.metrics.characters import in_one_uncut_shot
from eval.palette import background, differences, palette

# What may be left after the best gain between shots of one place, in CIEDE2000; less where the gain is beyond what
# lights do to a film, for a free gain brings some pairs of other places near. Set on 12 scenes of the theatre.
_LEFT, _USUAL_GAIN, _PER_GAIN = 1.6, 0.4, 6.0
_SCALE = 10.0  # CIEDE2000 over which the value falls to 1/e
_FRAMES = 3  # a shot
_MOST_SHOTS = 60


def _look(evidence: Evidence) -> Measured:
    if evidence.asked is None:
        return Measured.absent(evidence.why("asked"))
    shots = evidence.shots[:_MOST_SHOTS]
    if len(shots) < 2:
        return Measured.absent("the storyboard has one shot: there are no two to compare")
    found = {index: colours for index, shot in enumerate(shots) if (colours := _palette_of(evidence, shot)) is not None}
    of = len(list(combinations(range(len(shots)), 2)))
    if len(found) < 2:
        return Measured.absent("fewer than two shots show a background", of=of)
    apart = differences(list(found.values()))
    same_place = apart.left + _PER_GAIN * np.maximum(0, apart.gain - _USUAL_GAIN) <= _LEFT
    rows = [
        {"shots": [a + 1, b + 1], "difference": float(apart.plain[i, j]), "without light": float(apart.left[i, j])}
        | {"value": float(np.exp(-apart.plain[i, j] / _SCALE))}
        for (i, a), (j, b) in combinations(enumerate(found), 2)
        if same_place[i, j] and not in_one_uncut_shot(evidence.detection, shots[a], shots[b])
    ]
    return Measured.mean_of([row["value"] for row in rows], "no two shots show the same setting", of, rows)


def _palette_of(evidence: Evidence, shot: range):
    """The palette of a shot's background, from a few of its pictures; None if it shows none."""
    figures = evidence.sightings.figures if evidence.sightings is not None else {}
    here = [frame for frame in figures if frame in shot] or list(shot)
    if not here:
        return None
    pictures = evidence.footage.pictures
    scale = pictures.shape[2] / evidence.footage.size[0]
    parts = []
    for frame in np.array(sorted(here))[np.linspace(0, len(here) - 1, min(_FRAMES, len(here))).round().astype(int)]:
        boxes = [tuple(scale * side for side in box) for box in figures.get(int(frame), ())]
        parts.append(background(pictures[frame], boxes))
    parts = [part for part in parts if part is not None]
    return palette(np.concatenate(parts)) if parts else None


METRICS: tuple[Metric, ...] = (
    Metric(
        name="look_consistency",
        version=1,
        group="inter-shot",
        direction="higher",
        range=(0, 1),
        source="ours; CIEDE2000 (Sharma et al. 2005) between palettes of backgrounds",
        absent_when="no storyboard, one shot, or no two shots with a cut between them that show the same setting",
        meaning="How alike shots of one place are lit and graded; 1 is the same palette, 0.5 a clearly other light.",
        measure=_look,
    ),
)
