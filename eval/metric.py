"""What a metric is: a record with a pure function from evidence to sums and counts, from which every rate is derived.

Nothing is ever averaged twice: a video yields `parts` (sums and counts), a set of videos adds its parts up exactly,
and `derive` turns either into the number that is shown. So a set of scorecards gives one number in any order and split.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from eval.evidence import Evidence

Parts = Mapping[str, float]
_ROUNDING = 1e-6  # sums of cosines in single precision are off by less


@dataclass(frozen=True)
class Measured:
    """One metric of one video.

    `parts`: sums and counts; empty when nothing could be measured, and then `reason` says why in a sentence.
    `covered` of `of`: how many of the things that the metric is about (frames, shots, pairs, cuts) it could look at.
    `detail`: per shot, per pair or per cut, for people to look at; plain JSON values.
    """

    parts: Parts
    covered: int
    of: int
    reason: str | None = None
    detail: tuple[dict[str, Any], ...] = ()

    @classmethod
    def absent(cls, reason: str, of: int = 0) -> Measured:
        """Nothing measured, and why."""
        return cls({}, 0, of, reason)

    @classmethod
    def mean_of(
        cls,
        values: Iterable[float | None],
        nothing: str,
        of: int | None = None,
        detail: Iterable[dict[str, Any]] = (),
    ) -> Measured:
        """The mean over shots, pairs or frames, as sum and count; None is one that could not be looked at.

        `nothing`: the reason where no value is known. `of`: how many there are, if `values` leaves some out.
        """
        values = list(values)
        known = [value for value in values if value is not None]
        parts = {"sum": float(np.sum(known)), "count": float(len(known))} if known else {}
        reason = None if known else nothing
        return cls(parts, len(known), len(values) if of is None else of, reason, tuple(detail))


def mean(parts: Parts) -> float | None:
    """`sum` over `count`; None when nothing was counted."""
    return parts["sum"] / parts["count"] if parts.get("count") else None


@dataclass(frozen=True)
class Metric:
    """`name`/`version` identify the definition: a change that moves any score raises the version.

    `direction`: "higher" or "lower" is better, or "none" for a plain description of the video. `range`: least and
    greatest possible value, None where there is no limit. `unit`: what the value is measured in, "" for a plain number.
    `source`: paper and section, or "ours". `absent_when`: what makes the value None. `meaning`: one plain sentence for
    people who see the number. `measure`: evidence to sums and counts. `derive`: sums and counts to the value.
    """

    name: str
    version: int
    group: Literal["transitions", "inter-shot", "intra-shot", "adherence", "quality"]
    direction: Literal["higher", "lower", "none"]
    range: tuple[float | None, float | None]
    source: str
    absent_when: str
    meaning: str
    measure: Callable[[Evidence], Measured] = field(repr=False)
    derive: Callable[[Parts], float | None] = field(default=mean, repr=False)
    unit: str = ""

    @property
    def id(self) -> str:
        return f"{self.name}/{self.version}"

    def value_of(self, parts: Parts) -> float | None:
        """The value that sums and counts give, None of none; what rounding alone put beyond `range` is put back."""
        value = self.derive(parts) if parts else None
        if value is None:
            return None
        low, high = self.range
        if low is not None and low - _ROUNDING < value < low:
            return float(low)
        if high is not None and high < value < high + _ROUNDING:
            return float(high)
        return value


def add_up(parts: Iterable[Parts]) -> dict[str, float]:
    """The parts of many videos added up; the result does not depend on their order (exact summation)."""
    columns: dict[str, list[float]] = {}
    for one in parts:
        for name, value in one.items():
            columns.setdefault(name, []).append(value)
    return {name: math.fsum(values) for name, values in columns.items()}
