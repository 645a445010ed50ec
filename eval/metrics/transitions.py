"""How well the cuts of a video fall where the storyboard asked for them.

The matching is that of `eval.cut_accuracy`. F_total and N are those of the request on the frames of the video, nowhere
rounded to a model's grid, also where the video is shorter or longer: a cut that the video is too short for is missed, a
cut in frames that nobody asked for is extra.

A gradual change is a change of shot: it counts as a cut at its boundary frame, here and in the number of shots, and
`gradual_share` alone says that it was asked for as a cut. That holds as far as the detector finds it: TransNetV2 finds
all 40 cuts of 10 scenes of the theatre, but of the same cuts made dissolves of 2, 4, 8 and 12 frames 33, 33, 30 and 23.
It misses those between moving pictures, and shots that begin so count as shots that are not there.

With a storyboard of one shot no cut is asked for: its accuracy is that of a video without cuts, 1, and falls with every
extra one; recall, offsets and the gradual share have nothing to look at and are None.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from eval.cut_accuracy import Matching, match, match_cuts, mean_shot_length, shot_cut_accuracy
from eval.evidence import Boundary, Evidence
from eval.metric import Measured, Metric, Parts
from eval.request import UNTIMED, Asked

TOLERANCES = (0, 1, 2, 5)  # frames
NO_STORYBOARD = "there is no storyboard, so no cuts were asked for"
ONE_SHOT = "the storyboard has one shot and asks for no cut"
NO_PAIR = "there is no storyboard, or no detected cut belongs to a requested one"
PAPER = "HoloCine, arXiv 2510.20822, section 4.2; matching and penalty are ours"


def _with_cuts(measure: Callable[[Evidence, Asked], Measured]) -> Callable[[Evidence], Measured]:
    """A measurement that needs to know where cuts were asked for."""

    def measured(evidence: Evidence) -> Measured:
        if evidence.asked is None:
            return Measured.absent(NO_STORYBOARD)
        if evidence.asked.cuts is None:
            return Measured.absent(UNTIMED, evidence.asked.num_shots - 1)
        return measure(evidence, evidence.asked)

    return measured


def _measure_sca(evidence: Evidence, asked: Asked) -> Measured:
    matching = match_cuts(asked, evidence.cuts)
    value = shot_cut_accuracy(asked, evidence.cuts)
    return Measured({"sum": value, "count": 1}, *_coverage(evidence, asked), detail=_detail(matching, evidence))


def _measure_counts(tolerance: int) -> Callable[[Evidence, Asked], Measured]:
    """True and false positives and false negatives of cuts at most `tolerance` frames off."""

    def measure(evidence: Evidence, asked: Asked) -> Measured:
        matching = match(asked.cuts, evidence.cuts, tolerance)
        counts = (len(matching.pairs), len(matching.extra), len(matching.missed))
        parts = dict(zip(("true_positives", "false_positives", "false_negatives"), counts, strict=True))
        return Measured(parts, *_coverage(evidence, asked))

    return measure


def _measure_precision(tolerance: int) -> Callable[[Evidence, Asked], Measured]:
    def measure(evidence: Evidence, asked: Asked) -> Measured:
        if not evidence.cuts:
            return Measured.absent("no cut was detected in the video")
        counted = _measure_counts(tolerance)(evidence, asked)
        found = len(evidence.cuts)
        return Measured(_without(counted.parts, "false_negatives"), found, found)

    return measure


def _measure_recall(tolerance: int) -> Callable[[Evidence, Asked], Measured]:
    def measure(evidence: Evidence, asked: Asked) -> Measured:
        if not asked.cuts:
            return Measured.absent(ONE_SHOT)
        counted = _measure_counts(tolerance)(evidence, asked)
        return Measured(_without(counted.parts, "false_positives"), counted.covered, counted.of)

    return measure


def _measure_f1(tolerance: int) -> Callable[[Evidence, Asked], Measured]:
    def measure(evidence: Evidence, asked: Asked) -> Measured:
        if not asked.cuts and not evidence.cuts:
            return Measured.absent("no cut was asked for and none was detected")
        return _measure_counts(tolerance)(evidence, asked)

    return measure


def _measure_offset(signed: bool) -> Callable[[Evidence, Asked], Measured]:
    def measure(evidence: Evidence, asked: Asked) -> Measured:
        matching = match_cuts(asked, evidence.cuts)
        if not matching.pairs:
            return Measured.absent(_no_pair(asked), len(asked.cuts))
        offsets = matching.deviations if signed else tuple(map(abs, matching.deviations))
        parts = {"sum": sum(offsets), "count": len(offsets)}
        return Measured(parts, len(offsets), len(asked.cuts), detail=_detail(matching, evidence))

    return measure


def _measure_shot_count(evidence: Evidence) -> Measured:
    asked, detected = evidence.asked, len(evidence.cuts) + 1
    if asked is None:
        return Measured.absent(NO_STORYBOARD)
    detail = ({"requested": asked.num_shots, "detected": detected},)
    error = abs(detected - asked.num_shots)
    return Measured({"sum": error, "count": 1}, asked.num_shots, asked.num_shots, detail=detail)


def _measure_gradual(evidence: Evidence, asked: Asked) -> Measured:
    of = len(asked.cuts)
    if not evidence.detection.tells_gradual:
        return Measured.absent(f"{evidence.detection.detector} does not tell gradual changes from cuts", of)
    matching = match_cuts(asked, evidence.cuts)
    if not matching.pairs:
        return Measured.absent(_no_pair(asked), of)
    kinds = {boundary.frame: boundary.kind for boundary in evidence.detection.boundaries}
    gradual = sum(kinds[detected] == "gradual" for _, detected in matching.pairs)
    parts = {"sum": gradual, "count": len(matching.pairs)}
    return Measured(parts, len(matching.pairs), of, detail=_detail(matching, evidence))


def _coverage(evidence: Evidence, asked: Asked) -> tuple[int, int]:
    """How many requested cuts lie in the video, and how many there are."""
    return sum(cut < evidence.footage.num_frames for cut in asked.cuts), len(asked.cuts)


def _no_pair(asked: Asked) -> str:
    if not asked.cuts:
        return ONE_SHOT
    return f"no detected cut is within {mean_shot_length(asked) / 2:g} frames of a requested one"


def _without(parts: Parts, name: str) -> Parts:
    return {key: value for key, value in parts.items() if key != name}


def _detail(matching: Matching, evidence: Evidence) -> tuple[dict[str, Any], ...]:
    """One entry a cut, in the order of frames; `offset` is positive where the cut came late."""
    boundaries = {boundary.frame: boundary for boundary in evidence.detection.boundaries}
    last = evidence.footage.num_frames
    entries = [
        {"requested": asked, "detected": found, "offset": found - asked, **_kind(boundaries[found])}
        for asked, found in matching.pairs
    ]
    for cut in matching.missed:
        beyond = {"beyond_the_end": True} if cut >= last else {}
        entries.append({"requested": cut, "detected": None, "offset": None, **beyond})
    entries += [
        {"requested": None, "detected": cut, "offset": None, **_kind(boundaries[cut])} for cut in matching.extra
    ]
    return tuple(sorted(entries, key=lambda e: e["requested"] if e["detected"] is None else e["detected"]))


def _kind(boundary: Boundary) -> dict[str, Any]:
    if boundary.kind == "cut":
        return {"kind": "cut"}
    return {"kind": "gradual", "start": boundary.start, "stop": boundary.stop}


def _share(hits: str, *others: str) -> Callable[[Parts], float | None]:
    """Hits over hits and all others; F1 where both kinds of error are given, each with half its weight."""
    weight = 1 / len(others)

    def derive(parts: Parts) -> float | None:
        total = parts.get(hits, 0) + weight * sum(parts.get(name, 0) for name in others)
        return parts[hits] / total if total else None

    return derive


def _counting_metrics(tolerance: int) -> tuple[Metric, ...]:
    close = "on the requested frame" if not tolerance else f"within {tolerance} frame{'s'[: tolerance > 1]} of it"
    common = {"version": 1, "group": "transitions", "direction": "higher", "range": (0.0, 1.0), "source": "ours"}
    return (
        Metric(
            name=f"cut_f1_{tolerance}",
            absent_when="there is no storyboard, or neither storyboard nor video has a cut",
            meaning=f"How well requested and detected cuts agree: harmonic mean of precision and recall, {close}.",
            measure=_with_cuts(_measure_f1(tolerance)),
            derive=_share("true_positives", "false_positives", "false_negatives"),
            **common,
        ),
        Metric(
            name=f"cut_precision_{tolerance}",
            absent_when="there is no storyboard, or the video has no cut",
            meaning=f"Share of the detected cuts that were asked for, {close}.",
            measure=_with_cuts(_measure_precision(tolerance)),
            derive=_share("true_positives", "false_positives"),
            **common,
        ),
        Metric(
            name=f"cut_recall_{tolerance}",
            absent_when="there is no storyboard, or it has one shot",
            meaning=f"Share of the requested cuts that the video has, {close}.",
            measure=_with_cuts(_measure_recall(tolerance)),
            derive=_share("true_positives", "false_negatives"),
            **common,
        ),
    )


METRICS: tuple[Metric, ...] = (
    Metric(
        name="sca",
        version=1,
        group="transitions",
        direction="higher",
        range=(0.0, 1.0),
        source=PAPER,
        absent_when="there is no storyboard, or it is not known where cuts were asked for",
        meaning="Shot Cut Accuracy: 1 when every cut falls on the requested frame and no other is there.",
        measure=_with_cuts(_measure_sca),
    ),
    *(metric for tolerance in TOLERANCES for metric in _counting_metrics(tolerance)),
    Metric(
        name="cut_offset",
        version=1,
        group="transitions",
        direction="lower",
        range=(0.0, None),
        source="ours, on the matching of sca/1",
        absent_when=NO_PAIR,
        meaning="How many frames the cuts are off, early or late, on average.",
        measure=_with_cuts(_measure_offset(signed=False)),
        unit="frames",
    ),
    Metric(
        name="cut_signed_offset",
        version=1,
        group="transitions",
        direction="none",
        range=(None, None),
        source="ours, on the matching of sca/1",
        absent_when=NO_PAIR,
        meaning="How many frames the cuts come late (above 0) or early (below 0) on average.",
        measure=_with_cuts(_measure_offset(signed=True)),
        unit="frames",
    ),
    Metric(
        name="shot_count_error",
        version=1,
        group="transitions",
        direction="lower",
        range=(0.0, None),
        source="ours",
        absent_when="there is no storyboard",
        meaning="By how many shots the video has more or fewer than asked for.",
        measure=_measure_shot_count,
        unit="shots",
    ),
    Metric(
        name="gradual_share",
        version=1,
        group="transitions",
        direction="lower",
        range=(0.0, 1.0),
        source="ours, on the matching of sca/1",
        absent_when=f"{NO_PAIR}, or the detector knows cuts only",
        meaning="Share of the requested cuts that came, but as a dissolve or fade.",
        measure=_with_cuts(_measure_gradual),
    ),
)
