"""The results of a run as reports need them: what became of every item, its scores, and the tags of its storyboard."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

from pydantic_core import from_json

from benchmarks.items import SCORECARD, VIDEO, Item, RunInfo, items_in, read_record
from benchmarks.suites import Entry, Suite, SuiteError, load_suite

BOUNDS = ("truth", "still", "shuffled")  # systems that show what a metric can tell, and do not compete


class ResultsError(ValueError):
    """Results that cannot be reported; the message is one sentence with the remedy."""


class Score(NamedTuple):
    """One metric of one video, as its scorecard has it; `parts` are empty where `value` is None."""

    version: int
    value: float | None
    parts: Mapping[str, float]
    covered: int
    of: int
    reason: str | None


_FIELDS = itemgetter(*Score._fields)


@dataclass(frozen=True)
class ItemResult:
    """What became of a system's video of a storyboard, repetition number `seed`.

    scorecard: scores by metric, None for an item that failed or whose scorecard cannot be read; `error` then says why.
    seconds: of generating and scoring. peak_mb: main memory, MiB. distances: sum and count of the similarity of two
    shots that show the same character, by how many shots apart they are. measured_with: detector and encoders.
    """

    system: str
    storyboard_id: str
    seed: int
    tags: tuple[str, ...]
    scorecard: Mapping[str, Score] | None
    error: str | None = None
    seconds: Mapping[str, float] | None = None
    peak_mb: float | None = None
    video: Path | None = None
    distances: Mapping[int, tuple[float, int]] | None = None
    measured_with: tuple[str, ...] = ()


@dataclass(frozen=True)
class Results:
    """All of a run: `systems` in the order in which they were named, `bounds` those of them that do not compete."""

    run: Path
    info: RunInfo
    suite: Suite
    items: tuple[ItemResult, ...]

    @cached_property
    def systems(self) -> tuple[str, ...]:
        found = {item.system for item in self.items}
        return (*self.info.systems, *sorted(found - set(self.info.systems)))

    def kind(self, system: str) -> str:
        """What a system is, by its specification `[NAME=]SYSTEM[:PATH][@MODEL]`."""
        spec = self.info.systems.get(system, system)
        return re.split("[:@]", spec.partition("=")[2] or spec)[0]

    @cached_property
    def bounds(self) -> tuple[str, ...]:
        return tuple(name for name in self.systems if self.kind(name) in BOUNDS)

    @cached_property
    def competing(self) -> tuple[str, ...]:
        return tuple(name for name in self.systems if name not in self.bounds)

    @cached_property
    def seeds(self) -> tuple[int, ...]:
        return tuple(sorted({*self.info.seeds, *(item.seed for item in self.items)}))

    @cached_property
    def entries(self) -> tuple[Entry, ...]:
        """The storyboards that were run, in the suite's order."""
        found = {item.storyboard_id for item in self.items}
        return tuple(entry for entry in self.suite.entries if entry.id in found)

    @cached_property
    def failures(self) -> tuple[ItemResult, ...]:
        return tuple(item for item in self.items if item.scorecard is None)


def load_run(run: str | Path) -> Results:
    """Load a run's folder.

    A damaged or missing scorecard becomes the error of its item. Raises `ResultsError` for a folder without a run or
    without items, and for videos of one storyboard that were scored by several encoders or detectors.
    """
    run = Path(run)
    info = RunInfo.load(run)
    if info is None:
        raise ResultsError(f"{run} holds no run: it has no run.json")
    try:
        suite = load_suite(run / "suite.jsonl")
    except SuiteError as error:
        raise ResultsError(f"the suite of the run cannot be read: {error}") from None
    entries = {entry.id: entry for entry in suite.entries}
    items = tuple(
        _load(run, item, entries[item.storyboard_id]) for item in items_in(run) if item.storyboard_id in entries
    )
    if not items:
        raise ResultsError(f"{run} holds no results yet: run systems into it first")
    _check_comparable(run, items)
    return Results(run, info, suite, items)


def load_results(run: str | Path) -> list[ItemResult]:
    """Every item of a run, in order; see `load_run`."""
    return list(load_run(run).items)


def _load(run: Path, item: Item, entry: Entry) -> ItemResult:
    folder = str(item.folder(run))  # plain text from here on: ten thousand items are a hundred thousand paths
    record = read_record(run, item)
    video = Path(folder, VIDEO) if os.path.isfile(os.path.join(folder, VIDEO)) else None
    found: dict[str, Any] = {"video": video, "scorecard": None}
    if record is None:
        found["error"] = "its record.json is missing or damaged; the same run command makes it again"
    else:
        found |= {"error": record.error, "seconds": record.seconds, "peak_mb": record.peak_mb}
    if record is not None and record.status == "done":
        try:
            with open(os.path.join(folder, SCORECARD), "rb") as file:
                found |= _scores(from_json(file.read(), cache_strings="all"))
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            found["error"] = "its scorecard.json is missing or damaged; python -m benchmarks score makes it again"
    return ItemResult(item.system, item.storyboard_id, item.seed, entry.tags, **found)


def _scores(card: Mapping[str, Any]) -> dict[str, Any]:
    """What of a scorecard's JSON reports need."""
    return {
        "scorecard": {name: Score._make(_FIELDS(metric)) for name, metric in card["metrics"].items()},
        "distances": _distances(card["metrics"]),
        "measured_with": (card["detector"], *sorted(f"{role} {one['id']}" for role, one in card["encoders"].items())),
    }


def _distances(metrics: Mapping[str, Any]) -> dict[int, tuple[float, int]]:
    found: dict[int, tuple[float, int]] = {}
    for row in metrics.get("character_consistency", {}).get("detail", ()):
        if "distance" in row and row["value"] is not None:
            total, count = found.get(row["distance"], (0.0, 0))
            found[row["distance"]] = (total + row["value"], count + 1)
    return found


def _check_comparable(run: Path, items: Sequence[ItemResult]) -> None:
    used: dict[str, set[tuple[str, ...]]] = defaultdict(set)
    for item in items:
        if item.scorecard is not None:
            used[item.storyboard_id].add(item.measured_with)
    for id, found in used.items():
        if len(found) > 1:
            kinds = " and ".join(sorted(", ".join(one) for one in found))
            raise ResultsError(
                f"{run}: videos of storyboard {id} were scored with {kinds}: run python -m benchmarks score {run}"
            )
