"""Subject and background consistency within shots: VBench's (Huang et al., CVPR 2024, §4.1.1), per detected shot.

For the embeddings f_0, f_1, … of a shot's sampled frames, the mean over i > 0 of
½ [max(0, cos(f_i, f_(i-1))) + max(0, cos(f_i, f_0))]; DINO's for the subject, CLIP's for the background. Frames count
alike, whatever the length of their shot. Detected shots and not requested ones: a missed cut is not a change of
subject, which shot cut accuracy already counts. A cut that was asked for and not found where it should be may still be
there, in a dissolve too slow to be found: frames across it are not compared, nor those within half a second of it, so
that a change that was asked for is held against nobody. VBench looks at every frame, this at the sampled ones.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal

import numpy as np

from eval.evidence import Detection, Embeddings, Evidence
from eval.metric import Measured, Metric

_AROUND = 0.5  # seconds on either side of a cut that was asked for and not found


def compared(evidence: Evidence) -> list[list[range]]:
    """The ranges of frames that show one shot and no change that was asked for, of every detected shot.

    One of each, its gradual changes left out, or several where cuts that were asked for lie in it.
    """
    detection = evidence.detection
    margin = round(_AROUND * evidence.footage.fps)
    timed = evidence.asked is not None and evidence.asked.request.timed
    asked = [shot.start for shot in evidence.shots[1:] if shot] if timed else []
    found = []
    for clear in detection.clear_ranges:
        ranges, start = [], clear.start
        for cut in asked:
            if start < cut < clear.stop and _missed(detection, cut, margin):
                ranges.append(range(start, max(start, cut - margin)))
                start = min(cut + margin, clear.stop)
        found.append([*ranges, range(start, clear.stop)])
    return found


def _missed(detection: Detection, cut: int, margin: int) -> bool:
    """Whether no detected boundary lies within `margin` frames of a cut."""
    return not any(boundary.start - margin <= cut <= boundary.stop + margin for boundary in detection.boundaries)


def _steadiness(vectors: np.ndarray) -> np.ndarray:
    """VBench's value of every frame but the first, (n - 1,), for unit vectors (n, d)."""
    to_previous = (vectors[1:] * vectors[:-1]).sum(-1)
    to_first = vectors[1:] @ vectors[0]
    return (np.maximum(0, to_previous) + np.maximum(0, to_first)) / 2


def _consistency(role: Literal["dino", "clip"]) -> Callable[[Evidence], Measured]:
    def measure(evidence: Evidence) -> Measured:
        total, embeddings = evidence.footage.num_frames, getattr(evidence, role)
        if embeddings is None:
            return Measured.absent(evidence.why(role), of=total)
        usable = np.isfinite(embeddings.vectors).all(-1)
        embeddings = Embeddings(embeddings.encoder, embeddings.frames[usable], embeddings.vectors[usable])
        covered, detail, values = 0, [], []
        shots = evidence.detection.shot_ranges
        for index, (shot, ranges) in enumerate(zip(shots, compared(evidence), strict=True)):
            pieces = [embeddings.within(clear).astype(np.float64) for clear in ranges]
            pieces = [vectors for vectors in pieces if len(vectors) >= 2]
            if not pieces:
                continue
            of_shot = np.concatenate([_steadiness(vectors) for vectors in pieces])
            covered += len(shot)
            values.append(of_shot)
            detail.append(
                {"shot": index + 1, "start": shot.start, "stop": shot.stop, "frames": sum(map(len, pieces))}
                | {"value": float(of_shot.mean()), "worst": float(of_shot.min())}
            )
        if not values:
            return Measured.absent("no detected shot has two sampled frames", of=total)
        joined = np.concatenate(values)
        parts = {"sum": float(joined.sum()), "count": len(joined)}
        return Measured(parts, covered, total, detail=tuple(detail))

    return measure


_of_vbench = partial(
    Metric,
    group="intra-shot",
    direction="higher",
    range=(0, 1),
    source="VBench (arXiv 2311.17982) §4.1.1, per detected shot",
)

METRICS: tuple[Metric, ...] = (
    _of_vbench(
        name="subject_consistency",
        version=2,
        absent_when="DINO's weights are not at hand, or no shot has two sampled frames",
        meaning="How alike the frames of a shot look to DINO, which sees the main subject; 1 is a still picture.",
        measure=_consistency("dino"),
    ),
    _of_vbench(
        name="background_consistency",
        version=2,
        absent_when="no CLIP knows this kind of video, or no shot has two sampled frames",
        meaning="How alike the frames of a shot look to CLIP, which sees the whole scene; 1 is a still picture.",
        measure=_consistency("clip"),
    ),
)
