"""The results of a run as reports need them: what became of every item, its scores, and the tags of its storyboard."""

from __future__ import annotations

import gc
import os
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

from pydantic_core import from_json

from benchmarks.running.items import (
    SCORECARD,
    VIDEO,
    Hashes,
    Item,
    RunError,
    RunInfo,
    existing,
    items_in,
    read_record,
)
from benchmarks.suites.suite import Entry, Suite, SuiteError, load_suite
from eval.encoders.theatre import is_of_the_theatre

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
_SCORE = partial(tuple.__new__, Score)  # from a tuple of its fields, without a step of Python's own


@dataclass(frozen=True)
class ItemResult:
    """What became of a system's video of a storyboard, repetition number `seed`.

    scorecard: scores by metric, None for an item that failed or whose scorecard cannot be read; `error` then says why.
    seconds: of loading models, generating and scoring. peak_mb: main memory, MiB. distances: sum and count of the
    similarity of two shots that show the same character, by how many shots apart they are. measured_with: detector and
    encoders. looked: their ids by role, as `eval.trust` takes them. hashes: of what the video and its scores depend on.
    notes: what the system could not express of the storyboard.
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
    looked: tuple[tuple[str, str], ...] = ()
    hashes: Hashes | None = None
    notes: tuple[str, ...] = ()


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
        return _kind(self.info.systems.get(system, system))

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
    def in_theatre(self) -> bool:
        """Whether all storyboards that were run are of the puppet theatre, by their words."""
        return all(is_of_the_theatre(entry.storyboard) for entry in self.entries)

    @cached_property
    def looked(self) -> tuple[dict[str, str], ...]:
        """What looked at the videos, ids by role; several where storyboards of several worlds were scored."""
        return tuple(map(dict, dict.fromkeys(item.looked for item in self.items if item.looked)))

    @cached_property
    def failures(self) -> tuple[ItemResult, ...]:
        return tuple(item for item in self.items if item.scorecard is None)


def load_run(run: str | Path) -> Results:
    """Load a run's folder.

    A damaged or missing scorecard becomes the error of its item. Raises `ResultsError` for a folder without a run or
    without items, for videos of one system that are of several models, settings or versions of the puppet world, for
    videos of storyboards that have changed since, and for videos of one storyboard that were scored by several
    encoders or detectors.
    """
    run = Path(run)
    try:
        info = existing(run)
        suite = load_suite(run / "suite.jsonl")
    except RunError as error:
        raise ResultsError(str(error)) from None
    except SuiteError as error:
        raise ResultsError(f"the suite of the run cannot be read: {error}") from None
    entries = {entry.id: entry for entry in suite.entries}
    with _undisturbed():
        items = tuple(
            _load(run, item, entries[item.storyboard_id]) for item in items_in(run) if item.storyboard_id in entries
        )
    if not items:
        raise ResultsError(f"{run} holds no results yet: run systems into it first")
    _check_alike(run, info, entries, items)
    _check_comparable(run, items)
    return Results(run, info, suite, items)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Keep Python from looking for garbage while much is read and nothing thrown away, which takes a third longer."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def load_results(run: str | Path) -> list[ItemResult]:
    """Every item of a run, in order; see `load_run`."""
    return list(load_run(run).items)


def _load(run: Path, item: Item, entry: Entry) -> ItemResult:
    folder = f"{run}/{item.where}"
    record = read_record(run, item)
    found: dict[str, Any] = {"video": Path(folder, VIDEO) if os.path.isfile(f"{folder}/{VIDEO}") else None}
    found["scorecard"] = None
    if record is None:
        found["error"] = "its record.json is missing or damaged; the same run command makes it again"
    else:
        kept = ("error", "seconds", "peak_mb", "hashes", "notes")
        found |= {name: getattr(record, name) for name in kept}
    if record is not None and record.status == "done":
        try:
            with open(f"{folder}/{SCORECARD}", "rb") as file:
                found |= _scores(from_json(file.read(), cache_strings="all"))
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            found["error"] = "its scorecard.json is missing or damaged; python -m benchmarks score makes it again"
    return ItemResult(item.system, item.storyboard_id, item.seed, entry.tags, **found)


def _scores(card: Mapping[str, Any]) -> dict[str, Any]:
    """What of a scorecard's JSON reports need."""
    metrics = card["metrics"]
    encoders = (_encoder(role, one) for role, one in sorted(card["encoders"].items()))
    return {
        "scorecard": dict(zip(metrics, map(_SCORE, map(_FIELDS, metrics.values())), strict=True)),
        "distances": _distances(metrics),
        "measured_with": (card["detector"], *encoders),
        "looked": (
            ("detector", card["detector"]),
            *((role, card["encoders"][role]["id"]) for role in ("clip", "dino") if role in card["encoders"]),
        ),
    }


def _encoder(role: str, record: Mapping[str, Any]) -> str:
    weights = record.get("sha256")
    return f"{role} {record['id']} ({weights[:12]})" if weights else f"{role} {record['id']}"


def _distances(metrics: Mapping[str, Any]) -> dict[int, tuple[float, int]]:
    found: dict[int, tuple[float, int]] = {}
    for row in metrics.get("character_consistency", {}).get("detail", ()):
        if "distance" in row and row["value"] is not None:
            total, count = found.get(row["distance"], (0.0, 0))
            found[row["distance"]] = (total + row["value"], count + 1)
    return found


def _kind(spec: str) -> str:
    return re.split("[:@]", spec.partition("=")[2] or spec)[0]


def _check_alike(run: Path, info: RunInfo, entries: Mapping[str, Entry], items: Sequence[ItemResult]) -> None:
    """Hold every video to the storyboard as the suite has it, and to what made the other videos of its system."""
    made: dict[str, tuple[str | None, str]] = {}
    for item in items:
        if item.hashes is None or item.scorecard is None:
            continue
        if item.hashes.storyboard != entries[item.storyboard_id].shown_sha256:
            raise ResultsError(
                f"{run}: the storyboard {item.storyboard_id} has changed since {item.system} made its video: "
                "run the systems over it again with --changed rerun"
            )
        if _kind(info.systems.get(item.system, item.system)) == "folder":
            continue  # each of its files has a hash of its own
        by = (item.hashes.model, item.hashes.system)
        if made.setdefault(item.system, by) != by:
            raise ResultsError(
                f"{run}: {item.system} made some of its videos with another model, other settings or another version "
                "of the puppet world than the rest: run it over all its storyboards with --changed rerun"
            )


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
