"""Tables of a run: every system's value of every metric, how sure it is, and against a baseline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from itertools import chain
from operator import itemgetter
from pathlib import Path

import numpy as np

from benchmarks.reporting.published import COLUMNS
from benchmarks.reporting.ranking import Standing, fooled_by, little_seen, standings
from benchmarks.reporting.results import Results, ResultsError
from benchmarks.reporting.significance import Comparison, Pairing, holm, pair, standard_error, values_of
from eval.metric import Metric
from eval.metrics import all_metrics


@dataclass(frozen=True)
class Cell:
    """A system's value of a metric over a set of videos.

    value: derived from the parts of all its videos added up; None if there are none. error: standard error over
    storyboards. storyboards: how many the value stands on. covered of of: the things in their videos that the metric
    could look at. videos of num_videos have a value. standing: how it compares with those it competes with.
    comparison: with the baseline.
    """

    value: float | None
    error: float | None
    storyboards: int
    covered: int
    of: int
    videos: int
    num_videos: int
    standing: Standing = Standing()
    comparison: Comparison | None = None

    @property
    def rank(self) -> int | None:
        """1 for the best of those that compete, 2 for the runner-up; equal values share it."""
        return self.standing.rank

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


@dataclass(frozen=True, eq=False)
class _Column:
    """One metric of one system, by storyboard, for n storyboards.

    sums: (n, parts) over the videos that have a value. videos: how many those are. num_videos: of how many. covered,
    of: things looked at. keys: storyboard and seed of each video with a value, with its parts in `rows`.
    """

    sums: np.ndarray
    videos: np.ndarray
    num_videos: np.ndarray
    covered: np.ndarray
    of: np.ndarray
    keys: np.ndarray
    rows: np.ndarray

    @cached_property
    def codes(self) -> np.ndarray:
        """A number for each row of `keys`, equal where both columns of it are."""
        return self.keys[:, 0] * (1 << 32) + self.keys[:, 1]


class _Items:
    """All items as columns, in order: `system`, `board` and `seed` as numbers, and their scorecards."""

    def __init__(self, results: Results) -> None:
        systems = {system: number for number, system in enumerate(results.systems)}
        boards = {entry.id: number for number, entry in enumerate(results.entries)}
        self.systems, self.num_boards = results.systems, len(boards)
        self.system = np.array([systems[item.system] for item in results.items])
        self.board = np.array([boards[item.storyboard_id] for item in results.items])
        self.seed = np.array([item.seed for item in results.items])
        self.cards = [item.scorecard or {} for item in results.items]
        self.num_videos = {
            name: np.bincount(self.board[self.system == number], minlength=len(boards))
            for name, number in systems.items()
        }


class _Parts:
    """The sums and counts of one metric for every system. Raises `ResultsError` for another version of the metric."""

    def __init__(self, metric: Metric, items: _Items, run: Path) -> None:
        self.metric = metric
        where = [number for number, card in enumerate(items.cards) if metric.name in card]
        fields = zip(*[items.cards[number][metric.name] for number in where], strict=True)
        versions, values, parts, covered, of, _ = map(list, fields)
        _check_version(metric, set(versions), run)
        measured = ~np.isnan(np.array(values, dtype=float))
        self.names = tuple(dict.fromkeys(chain.from_iterable(parts)))
        rows = np.zeros((len(where), len(self.names)))
        rows[measured] = _in_order([one for one, is_in in zip(parts, measured, strict=True) if is_in], self.names)
        where, covered, of = np.array(where), np.array(covered), np.array(of)
        self.columns = {}
        for number, system in enumerate(items.systems):
            every = items.system[where] == number
            has = every & measured
            board, n = items.board[where], items.num_boards
            self.columns[system] = _Column(
                sums=_by_board(board[has], rows[has], n),
                videos=np.bincount(board[has], minlength=n),
                num_videos=items.num_videos[system],
                covered=np.bincount(board[every], covered[every], minlength=n),
                of=np.bincount(board[every], of[every], minlength=n),
                keys=np.stack([board[has], items.seed[where][has]], 1),
                rows=rows[has],
            )

    @property
    def is_measured(self) -> bool:
        """Whether some video has a value."""
        return any(len(column.keys) for column in self.columns.values())

    def cell(self, system: str, boards: np.ndarray) -> Cell:
        """The cell of a system over the storyboards for which `boards` (n,) is true."""
        column = self.columns[system]
        parts = column.sums[boards & (column.videos > 0)]
        counts = (column.videos, column.num_videos, column.covered, column.of)
        return _cell(self.metric, self.names, parts, *(round(float(count[boards].sum())) for count in counts))

    def pairing(self, system: str, other: str, boards: np.ndarray) -> Pairing:
        """Two systems on the storyboards and seeds of which both have a value, as far as `boards` (n,) is true."""
        ours, theirs = self.columns[system], self.columns[other]
        both = np.intersect1d(ours.codes, theirs.codes)
        sides, there = [], None
        for column in (ours, theirs):
            shared = np.isin(column.codes, both) & boards[column.keys[:, 0]]
            there = np.unique(column.keys[shared, 0])
            sides.append(_by_board(column.keys[shared, 0], column.rows[shared], len(column.videos))[there])
        return pair(self.metric.derive, self.names, *sides)


def _in_order(parts: Sequence[Mapping[str, float]], names: Sequence[str]) -> np.ndarray:
    """The parts of each video in the order of `names`, (videos, names), 0 where one is missing."""
    rows = np.empty((len(parts), len(names)))
    for column, name in enumerate(names):
        try:
            rows[:, column] = np.fromiter(map(itemgetter(name), parts), float, len(parts))
        except KeyError:
            rows[:, column] = [one.get(name, 0.0) for one in parts]
    return rows


def _by_board(boards: np.ndarray, rows: np.ndarray, n: int) -> np.ndarray:
    """Rows (videos, parts) added up by storyboard number, (n, parts)."""
    sums = np.zeros((n, rows.shape[1]))
    np.add.at(sums, boards, rows)
    return sums


def summarise(results: Results, baseline: str | None = None, published: bool = True) -> Summary:
    """Add a run up. `baseline`: what the others are compared with, on every metric; by default none.

    Raises `ResultsError` for a baseline that the run does not have, for a run without scorecards, and for metrics that
    this program does not know in the version they were computed with.
    """
    if baseline is not None and baseline not in results.systems:
        raise ResultsError(f"the run has no system {baseline!r} to compare with; it has {', '.join(results.systems)}")
    if len(results.failures) == len(results.items):
        first = results.failures[0]
        raise ResultsError(
            f"{results.run} has no scorecard to report: none of its {len(results.items)} items was scored, the first, "
            f"{first.system} {first.storyboard_id}, because: {first.error}"
        )
    items = _Items(results)
    tagged = {
        tag: np.array([tag in entry.tags for entry in results.entries])
        for tag in sorted({tag for entry in results.entries for tag in entry.tags}, key=_tag_order)
    }
    table: dict[str, dict[str, Cell]] = {}
    tags: dict[str, dict[str, dict[str, Cell]]] = {tag: {} for tag, chosen in tagged.items() if not chosen.all()}
    metrics = []
    for metric in _metrics(items, results.run):
        parts = _Parts(metric, items, results.run)
        if not parts.is_measured:
            continue
        metrics.append(metric)
        main = metric.name in COLUMNS
        every = np.ones(items.num_boards, dtype=bool)
        row = table[metric.name] = _row(parts, results, every, baseline=baseline)
        fooled = {system: by for system, cell in row.items() if (by := cell.standing.fooled_by)}
        for tag in tags if main else ():
            tags[tag][metric.name] = _row(parts, results, tagged[tag], fooled)
    return Summary(results, tuple(metrics), baseline, table, tags, _by_distance(results), published)


def _metrics(items: _Items, run: Path) -> list[Metric]:
    """The metrics that the scorecards hold, in the order in which reports show them."""
    known = all_metrics()
    found = set().union(*items.cards)
    for name in sorted(found - set(known)):
        raise ResultsError(f"{name} is not a metric of this program: run python -m benchmarks score {run}")
    return [metric for name, metric in known.items() if name in found]


def _check_version(metric: Metric, versions: set[int], run: Path) -> None:
    if versions != {metric.version}:
        found = " and ".join(f"{metric.name}/{version}" for version in sorted(versions))
        raise ResultsError(
            f"{run} holds scores of {found}, but this program has {metric.id}: run python -m benchmarks score {run}"
        )


def _row(
    parts: _Parts,
    results: Results,
    boards: np.ndarray,
    fooled: Mapping[str, str] | None = None,
    baseline: str | None = None,
) -> dict[str, Cell]:
    """One metric of every system over some storyboards.

    fooled: whose value shows that the metric was fooled, by which bound; by default found on these storyboards.
    """
    row = {system: parts.cell(system, boards) for system in results.systems}
    versus = cache(lambda one, other: parts.pairing(one, other, boards))
    values = {system: cell.value for system, cell in row.items()}
    if fooled is None:
        kinds = {name: results.kind(name) for name in results.bounds}
        fooled = fooled_by(parts.metric, values, results.competing, kinds, versus)
    little = little_seen(values, {system: cell.coverage for system, cell in row.items()})
    for system, standing in standings(parts.metric, values, results.competing, versus, fooled, little).items():
        row[system] = replace(row[system], standing=standing)
    if baseline is not None:
        found = {name: versus(name, baseline).comparison for name in results.systems if name != baseline}
        found = {name: comparison for name, comparison in found.items() if comparison is not None}
        for name, p in zip(found, holm([one.p for one in found.values()]), strict=True):
            row[name] = replace(row[name], comparison=replace(found[name], holm=p))
    return row


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
