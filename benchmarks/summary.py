"""Tables of a run: every system's value of every metric, how sure it is, and against a baseline."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.published import COLUMNS
from benchmarks.results import ItemResult, Results, ResultsError
from benchmarks.significance import Comparison, compare, holm, standard_error, values_of
from eval.metric import Metric
from eval.metrics import all_metrics


@dataclass(frozen=True)
class Cell:
    """A system's value of a metric over a set of videos.

    value: derived from the parts of all its videos added up; None if there are none. error: standard error over
    storyboards. storyboards: how many the value stands on. covered of of: the things in their videos that the metric
    could look at. videos of num_videos have a value. rank: 1 for the best of those that compete, 2 for the runner-up.
    """

    value: float | None
    error: float | None
    storyboards: int
    covered: int
    of: int
    videos: int
    num_videos: int
    rank: int | None = None
    comparison: Comparison | None = None

    @property
    def coverage(self) -> float | None:
        return self.covered / self.of if self.of else None


@dataclass(frozen=True)
class Summary:
    """A run in tables. Metrics are those of which some video has a value.

    table: metric -> system -> cell. tags: tag -> metric -> system -> cell, for the metrics of the paper's Table 1.
    distances: system -> shots apart -> cell, of the similarity of shots that show the same character. published:
    whether the paper's own rows are to stand below.
    """

    results: Results
    metrics: tuple[Metric, ...]
    baseline: str | None
    table: Mapping[str, Mapping[str, Cell]]
    tags: Mapping[str, Mapping[str, Mapping[str, Cell]]]
    distances: Mapping[str, Mapping[int, Cell]]
    published: bool = True

    @property
    def systems(self) -> tuple[str, ...]:
        return self.results.systems

    @property
    def main(self) -> tuple[Metric, ...]:
        """The metrics of the paper's Table 1 that some video has, in its order."""
        return tuple(metric for name in COLUMNS for metric in self.metrics if metric.name == name)


class _Parts:
    """The sums and counts of one metric: by system, rows of `names` (one a storyboard and seed) with their keys."""

    def __init__(self, metric: Metric, items: Iterable[ItemResult]) -> None:
        self.metric = metric
        self.keys: dict[str, list[tuple[str, int]]] = defaultdict(list)
        self.coverage: dict[str, list[tuple[int, int]]] = defaultdict(list)
        rows: dict[str, list[Mapping[str, float]]] = defaultdict(list)
        names: dict[str, None] = {}
        for item in items:
            score = (item.scorecard or {}).get(metric.name)
            if score is None or score.value is None:
                if score is not None:
                    self.coverage[item.system].append((score.covered, score.of))
                continue
            self.keys[item.system].append((item.storyboard_id, item.seed))
            self.coverage[item.system].append((score.covered, score.of))
            rows[item.system].append(score.parts)
            names.update(dict.fromkeys(score.parts))
        self.names = tuple(names)
        self.rows = {
            system: np.array([[parts.get(name, 0.0) for name in names] for parts in of_system], dtype=float)
            for system, of_system in rows.items()
        }

    def by_storyboard(self, system: str, keys: Iterable[tuple[str, int]] | None = None) -> np.ndarray:
        """Sums by storyboard, in order of ids, (n, len(names)): of all videos of a system or of those in `keys`."""
        wanted = None if keys is None else set(keys)
        sums: dict[str, np.ndarray] = {}
        for key, row in zip(self.keys.get(system, ()), self.rows.get(system, ()), strict=True):
            if wanted is None or key in wanted:
                sums[key[0]] = sums[key[0]] + row if key[0] in sums else row
        return np.array([sums[id] for id in sorted(sums)]).reshape(len(sums), len(self.names))

    def cell(self, system: str, num_videos: int) -> Cell:
        parts = self.by_storyboard(system)
        covered, of = (sum(column) for column in zip(*self.coverage.get(system, [(0, 0)]), strict=True))
        return _cell(self.metric, self.names, parts, len(self.keys.get(system, ())), num_videos, covered, of)

    def against(self, system: str, baseline: str) -> Comparison | None:
        shared = set(self.keys.get(system, ())) & set(self.keys.get(baseline, ()))
        ours, theirs = self.by_storyboard(system, shared), self.by_storyboard(baseline, shared)
        return compare(self.metric.derive, self.names, ours, theirs)


def summarise(results: Results, baseline: str | None = None, published: bool = True) -> Summary:
    """Add a run up. `baseline`: the system that the others are compared with; by default none.

    Raises `ResultsError` for a baseline that the run does not have, and for metrics that this program does not know in
    the version they were computed with.
    """
    if baseline is not None and baseline not in results.systems:
        raise ResultsError(f"the run has no system {baseline!r} to compare with; it has {', '.join(results.systems)}")
    metrics = _metrics(results)
    table = {metric.name: _row(metric, results, results.items, baseline) for metric in metrics}
    main = [metric for metric in metrics if metric.name in COLUMNS]
    by_tag: dict[str, list[ItemResult]] = defaultdict(list)
    for item in results.items:
        for tag in item.tags:
            by_tag[tag].append(item)
    tags = {
        tag: {metric.name: _row(metric, results, by_tag[tag]) for metric in main}
        for tag in sorted(by_tag, key=_tag_order)
        if len(by_tag[tag]) < len(results.items)
    }
    return Summary(results, metrics, baseline, table, tags, _by_distance(results), published)


def _metrics(results: Results) -> tuple[Metric, ...]:
    known = all_metrics()
    versions: dict[str, int] = {}
    measured: set[str] = set()
    for item in results.items:
        for name, score in (item.scorecard or {}).items():
            versions[name] = score.version
            if score.value is not None:
                measured.add(name)
    for name, version in versions.items():
        if name not in known or known[name].version != version:
            raise ResultsError(
                f"{name}/{version} is not a metric of this program: run python -m benchmarks score {results.run}"
            )
    return tuple(metric for name, metric in known.items() if name in measured)


def _row(metric: Metric, results: Results, items: Sequence[ItemResult], baseline: str | None = None) -> dict[str, Cell]:
    """One metric of every system."""
    parts = _Parts(metric, items)
    counts: dict[str, int] = defaultdict(int)
    for item in items:
        counts[item.system] += 1
    row = {system: parts.cell(system, counts[system]) for system in results.systems}
    for rank, system in enumerate(_best(metric, {name: row[name].value for name in results.competing}), start=1):
        row[system] = replace(row[system], rank=rank)
    if baseline is not None:
        found = {name: parts.against(name, baseline) for name in results.systems if name != baseline}
        found = {name: comparison for name, comparison in found.items() if comparison is not None}
        for name, p in zip(found, holm([one.p for one in found.values()]), strict=True):
            row[name] = replace(row[name], comparison=replace(found[name], holm=p))
    return row


def _best(metric: Metric, values: Mapping[str, float | None]) -> list[str]:
    """The best system and the runner-up; fewer if fewer have a value, none for a metric that only describes."""
    measured = [name for name, value in values.items() if value is not None]
    if metric.direction == "none" or len(measured) < 2:
        return []
    return sorted(measured, key=lambda name: values[name], reverse=metric.direction == "higher")[:2]


def _cell(
    metric: Metric, names: Sequence[str], parts: np.ndarray, videos: int, num_videos: int, covered: int, of: int
) -> Cell:
    value = values_of(metric.derive, names, parts.sum(0, keepdims=True))[0] if len(parts) else np.nan
    error = standard_error(metric.derive, names, parts)
    return Cell(None if np.isnan(value) else float(value), error, len(parts), covered, of, videos, num_videos)


def _by_distance(results: Results) -> dict[str, dict[int, Cell]]:
    """Similarity of shots that show the same character, by how many shots apart they are."""
    metric = all_metrics()["character_consistency"]
    found: dict[str, dict[int, dict[str, np.ndarray]]] = {system: {} for system in results.systems}
    for item in results.items:
        for distance, (total, count) in (item.distances or {}).items():
            sums = found[item.system].setdefault(distance, {})
            sums[item.storyboard_id] = sums.get(item.storyboard_id, 0) + np.array([total, count])
    return {
        system: {
            distance: _cell(metric, ("sum", "count"), np.array(list(sums.values())), len(sums), len(sums), 0, 0)
            for distance, sums in sorted(distances.items())
        }
        for system, distances in found.items()
    }


def _tag_order(tag: str) -> tuple:
    """Tags by kind, then by number where they have one."""
    kind, _, value = tag.partition(":")
    return (kind, int(value) if value.isdigit() else -1, value)
