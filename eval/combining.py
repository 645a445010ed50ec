"""A set of scorecards as one: the sums and counts of all videos added up, and every value derived from them anew."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from eval.metric import Metric, add_up
from eval.metrics import all_metrics
from eval.scorecard import MetricRecord, Scorecard, ScorecardError


@dataclass(frozen=True)
class Combined:
    """A metric over a set of videos.

    value: derived from the parts of all videos added up. standard_error: of the mean of the videos' own values, None
    for fewer than two. videos of num_videos have a value; `covered` of `of` things in all videos were looked at.
    reasons: why the others have none, with the number of videos, the most frequent first. trust, limits: as of the
    scorecards, None where those do not agree.
    """

    metric: str
    version: int
    value: float | None
    standard_error: float | None
    parts: dict[str, float]
    covered: int
    of: int
    videos: int
    num_videos: int
    reasons: Mapping[str, int] = field(default_factory=dict)
    trust: str | None = None
    limits: str | None = None


def combine(scorecards: Iterable[Scorecard]) -> dict[str, Combined]:
    """Every metric over a set of scorecards, by name; the same for any order, since sums are exact.

    Raises `ScorecardError` for scorecards that differ in a metric's version, the detector or an encoder, and for none.
    """
    scorecards = list(scorecards)
    if not scorecards:
        raise ScorecardError("there are no scorecards to combine")
    _check_alike("shot detectors", (card.detector for card in scorecards))
    for role in sorted({role for card in scorecards for role in card.encoders}):
        used = (card.encoders[role] for card in scorecards if role in card.encoders)
        _check_alike(f"{role} encoders", (f"{encoder.id} ({encoder.sha256[:12]})" for encoder in used))
    known = all_metrics()
    names = {name: None for card in scorecards for name in card.metrics}  # a set that keeps the order
    return {name: _combine(name, known, scorecards) for name in names}


def _combine(name: str, known: Mapping[str, Metric], scorecards: list[Scorecard]) -> Combined:
    records = [card.metrics[name] for card in scorecards if name in card.metrics]
    _check_alike(f"versions of {name}", (f"{name}/{record.version}" for record in records))
    if name not in known or known[name].version != records[0].version:
        raise ScorecardError(f"{name}/{records[0].version} is not a metric of this program: score the videos again")
    parts = add_up(record.parts for record in records if record.value is not None)
    values = sorted(record.value for record in records if record.value is not None)
    return Combined(
        metric=name,
        version=records[0].version,
        value=known[name].value_of(parts),
        standard_error=statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else None,
        parts=parts,
        covered=sum(record.covered for record in records),
        of=sum(record.of for record in records),
        videos=len(values),
        num_videos=len(scorecards),
        reasons=_reasons(record.reason for record in records if record.value is None),
        **_trust(records),
    )


def _trust(records: list[MetricRecord]) -> dict[str, str | None]:
    """What all scorecards with a value say of how far to trust it."""
    said = {(record.trust, record.limits) for record in records if record.value is not None}
    return dict(zip(("trust", "limits"), said.pop(), strict=True)) if len(said) == 1 else {}


def _reasons(reasons: Iterable[str | None]) -> dict[str, int]:
    counts = Counter(reason or "no reason is given" for reason in reasons)
    return dict(sorted(counts.items(), key=lambda one: (-one[1], one[0])))


def _check_alike(what: str, values: Iterable[str]) -> None:
    different = sorted(set(values))
    if len(different) > 1:
        raise ScorecardError(
            f"the scorecards come from different {what} ({', '.join(different)}), whose numbers cannot be compared: "
            "score all videos with the same"
        )
