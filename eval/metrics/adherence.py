"""Does the video show what its text says? Cosines between CLIP embeddings of texts and of frames.

A shot or a video is the mean of the unit vectors of its sampled frames, of length 1 again. Texts hold descriptions in
place of character tags, and texts longer than the encoder reads are split and pooled (`eval.encoders`).
"""

from __future__ import annotations

from functools import partial

import numpy as np

from eval.evidence import Evidence
from eval.metric import Measured, Metric, Parts
from eval.request import UNWORDED

SOURCE = "HoloCine (arXiv 2510.20822), section 4.2, with CLIP for ViCLIP"
_UNSEEN = "no frame of a requested shot was embedded"


def _why_not(evidence: Evidence) -> str | None:
    if evidence.asked is not None and not evidence.asked.request.worded:
        return UNWORDED
    for name in ("asked", "clip", "text"):
        if getattr(evidence, name) is None:
            return evidence.why(name)
    return None


def similarities(evidence: Evidence) -> np.ndarray:
    """Cosine of every requested shot (row) with every shot caption (column), (N, N); rows of unseen shots are NaN."""
    rows = np.full((len(evidence.shots), len(evidence.text.shots)), np.nan)
    for row, shot in zip(rows, evidence.shots, strict=True):
        vector = evidence.clip.mean_within(shot)
        if vector is not None:
            row[:] = np.clip(evidence.text.shots @ vector, -1, 1)
    return rows


def _whole(evidence: Evidence) -> Measured:
    if reason := _why_not(evidence):
        return Measured.absent(reason, of=1)
    vector = evidence.clip.mean_within(range(evidence.footage.num_frames))
    if vector is None:
        return Measured.absent("no frame was embedded", of=1)
    return Measured({"sum": float(np.clip(evidence.text.whole @ vector, -1, 1)), "count": 1.0}, 1, 1)


def _shots(evidence: Evidence) -> Measured:
    if reason := _why_not(evidence):
        return Measured.absent(reason)
    own = [_json(value) for value in np.diagonal(similarities(evidence))]
    return Measured.mean_of(own, _UNSEEN, detail=({"shot": i, "value": value} for i, value in enumerate(own, start=1)))


def _retrieval(evidence: Evidence) -> Measured:
    if reason := _why_not(evidence):
        return Measured.absent(reason)
    table = similarities(evidence)
    num_shots = len(table)
    if num_shots < 2:
        return Measured.absent("the storyboard has one shot: there is no other caption to confuse its own with", 1)
    right, detail = [], []
    for i, row in enumerate(table):
        share = _share_of_best(row, i)
        detail.append({"shot": i + 1, "value": _json(share), "similarities": [_json(value) for value in row]})
        right.append(share)
    seen = [share for share in right if np.isfinite(share)]
    if not seen:
        return Measured({}, 0, num_shots, _UNSEEN, tuple(detail))
    parts = {"right": float(sum(seen)), "count": float(len(seen)), "chance": len(seen) / num_shots}
    return Measured(parts, len(seen), num_shots, None, tuple(detail))


def _share_of_best(row: np.ndarray, own: int) -> float:
    """1 if a shot's own caption fits best, 0 if another fits better; k captions that fit best alike share the 1.

    So shots with the same caption can never be told apart, and guessing is right once in as many times as there are
    captions. NaN for a shot that was not seen.
    """
    if not np.isfinite(row).all():
        return float("nan")
    best = row >= row.max() - 1e-6
    return 1.0 / int(best.sum()) if best[own] else 0.0


def _rate(parts: Parts) -> float | None:
    return parts["right"] / parts["count"] if parts.get("count") else None


def _above_chance(parts: Parts) -> float | None:
    """0 for guessing, 1 for always right."""
    room = parts.get("count", 0.0) - parts.get("chance", 0.0)
    return (parts["right"] - parts["chance"]) / room if room > 0 else None


def _json(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


_ABSENT = "no storyboard, or no CLIP model that knows the video"
_similarity = partial(
    Metric, group="adherence", direction="higher", range=(-1.0, 1.0), source=SOURCE, absent_when=_ABSENT
)
_choice = partial(
    Metric,
    group="adherence",
    direction="higher",
    source="ours",
    absent_when=f"{_ABSENT}, or one shot",
    measure=_retrieval,
)

METRICS: tuple[Metric, ...] = (
    _similarity(
        name="text_video",
        version=1,
        meaning="How well the video fits its whole text; comparable only between videos scored by the same encoder.",
        measure=_whole,
    ),
    _similarity(
        name="text_shot",
        version=1,
        meaning="How well each shot fits its own caption; only comparable between videos scored by the same encoder.",
        measure=_shots,
    ),
    _choice(
        name="shot_retrieval",
        version=1,
        range=(0.0, 1.0),
        meaning="How often a shot fits its own caption better than the storyboard's other captions.",
        derive=_rate,
    ),
    _choice(
        name="shot_retrieval_above_chance",
        version=1,
        range=(None, 1.0),
        meaning="The same on a scale where 0 is guessing and 1 is always right, whatever the number of shots.",
        derive=_above_chance,
    ),
)
