"""Flicker, motion smoothness and dynamic degree, within detected shots and without downloads.

Ours, in place of VBench's (Huang et al., CVPR 2024, §4.1), whose motion smoothness needs a frame interpolation network
and whose dynamic degree needs RAFT: the questions are the same, the numbers are not comparable. All look at pictures of
at most 160 pixels of width, and leave out frames that have no neighbour on both sides within their shot.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from eval.evidence import Evidence
from eval.flow import Motion, motion
from eval.metric import Measured, Metric, Parts, mean

_STILL = 0.002  # mean change of detail between frames, in the range of a pixel, below which nothing is said to move


def _measured(
    evidence: Evidence,
    parts: Callable[[Motion, np.ndarray], dict[str, float]],
    derive: Callable[[Parts], float | None] = mean,
) -> Measured:
    """The parts of the whole video and, as detail, the value of every shot."""
    found, total = motion(evidence), evidence.footage.num_frames
    if not len(found.frames):
        return Measured.absent("no shot has three frames in a row", of=total)
    shots = evidence.detection.shot_ranges
    masks = [found.within(shot) for shot in shots]
    detail = tuple(
        {"shot": i, "start": shot.start, "stop": shot.stop, "value": derive(parts(found, mask))}
        for i, (shot, mask) in enumerate(zip(shots, masks, strict=True), start=1)
        if mask.any()
    )
    return Measured(parts(found, np.ones(len(found.frames), bool)), len(found.frames), total, detail=detail)


def _flicker(evidence: Evidence) -> Measured:
    return _measured(evidence, lambda m, of: {"sum": 100 * float(m.jump[of].sum()), "count": int(of.sum())})


def _dynamic_degree(evidence: Evidence) -> Measured:
    fps = evidence.footage.fps
    return _measured(evidence, lambda m, of: {"sum": fps / m.step * float(m.speed[of].sum()), "count": int(of.sum())})


def _smoothness_parts(m: Motion, of: np.ndarray) -> dict[str, float]:
    return {
        "unexplained": float(m.unexplained[of].sum()),
        "change": float(m.change[of].sum()),
        "count": int(of.sum()),
    }


def _smoothness_value(parts: Parts) -> float | None:
    if not parts.get("count") or parts["change"] < _STILL * parts["count"]:
        return None
    return max(0.0, 1 - parts["unexplained"] / parts["change"])


def _smoothness(evidence: Evidence) -> Measured:
    measured = _measured(evidence, _smoothness_parts, _smoothness_value)
    if measured.parts and _smoothness_value(measured.parts) is None:
        return Measured.absent("hardly anything moves in this video", of=measured.of)
    return measured


METRICS: tuple[Metric, ...] = (
    Metric(
        name="flicker",
        version=2,
        group="intra-shot",
        direction="lower",
        range=(0, 100),
        source="ours; the question of VBench's temporal flickering",
        absent_when="no shot has three frames in a row",
        meaning="By how much the brightness or colour of the whole picture jumps from frame to frame and back; not "
        "what moves, nor noise, nor what rounding can do.",
        measure=_flicker,
        unit="% of full brightness",
    ),
    Metric(
        name="motion_smoothness",
        version=1,
        group="intra-shot",
        direction="higher",
        range=(0, 1),
        source="ours; the question of VBench's motion smoothness",
        absent_when="no shot has three frames in a row, or hardly anything moves",
        meaning="How much of the change between frames follows from the frames before and after: low when motion "
        "stutters or things appear and vanish.",
        measure=_smoothness,
        derive=_smoothness_value,
    ),
    Metric(
        name="dynamic_degree",
        version=1,
        group="intra-shot",
        direction="none",
        range=(0, None),
        source="ours; the question of VBench's dynamic degree",
        absent_when="no shot has three frames in a row",
        meaning="How fast the picture moves, the camera's motion included; neither good nor bad in itself.",
        measure=_dynamic_degree,
        unit="picture widths a second",
    ),
)
