"""Results that come with the desk: whole runs, or the tables and few videos that `benchmarks publish` writes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.reporting.again import suite_beside
from benchmarks.reporting.results import ItemResult, Results, ResultsError, Score, load_run
from benchmarks.reporting.summary import Cell, Summary, summarise
from benchmarks.running.items import VIDEO, Item, RunInfo
from benchmarks.suites.suite import load_suite
from eval.metrics import all_metrics

if TYPE_CHECKING:
    import pandas as pd

RUNS = Path(__file__).parents[2] / "benchmarks" / "results"
_BASELINE = "holocine"
_WHOLE, _TABLES = "suite.jsonl", "items.parquet"


def shipped(folder: Path = RUNS) -> dict[str, Path]:
    """The results in a folder, by name."""
    return {path.name: path for path in sorted(folder.iterdir()) if _holds_results(path)}


def alone(folder: Path) -> dict[str, Path]:
    """The results that a folder itself is, by its name; none if it is none."""
    return {folder.name: folder} if _holds_results(folder) else {}


def _holds_results(path: Path) -> bool:
    return (path / _WHOLE).exists() or (path / _TABLES).exists()


def load(folder: Path) -> Summary:
    """A run added up, or what was published of one; raises `ResultsError` for a folder that holds neither."""
    if (folder / _WHOLE).exists():
        return _added_up(load_run(folder))
    tables = folder / _TABLES
    if not tables.exists():
        raise ResultsError(f"{folder.name} holds no results")
    return _published(folder, tables.stat().st_mtime_ns)


@lru_cache(maxsize=8)
def _published(folder: Path, changed: int) -> Summary:
    """What was published of a run, added up again: the sums and counts of every video are in its tables.

    Metrics that have become others since are left out; `outdated` names them.
    """
    import pandas as pd

    info = RunInfo.load(folder)
    if info is None:
        raise ResultsError(f"{folder.name} holds no run: it has no run.json")
    beside = suite_beside(folder, info.suite["name"])
    suite = load_suite(beside if beside.is_file() else info.suite["name"])
    if suite.sha256 != info.suite["sha256"]:
        raise ResultsError(
            f"these results are of version {info.suite['version']} of the suite {suite.name}, whose storyboards have "
            "changed since"
        )
    frame = pd.read_parquet(folder / _TABLES)
    items = tuple(_items(frame[~frame["metric"].isin(outdated(info))], folder))
    # Messages name the run by its folder, which is nobody's business but its name.
    summary = _added_up(Results(Path(folder.name), info, suite, items))
    return replace(summary, distances=_distances(pd.read_csv(folder / "distances.csv"), summary.systems))


def outdated(info: RunInfo) -> list[str]:
    """The metrics of a run that this program has not, or has in another version."""
    known = {metric.id for metric in all_metrics().values()}
    return [id.partition("/")[0] for id in info.metrics if id not in known]


def _added_up(results: Results) -> Summary:
    return summarise(results, _BASELINE if _BASELINE in results.systems else None)


def _items(frame: pd.DataFrame, folder: Path) -> Iterator[ItemResult]:
    """Every video of a table as of `reporting.frames.item_frame`: a row a metric, or one row with an error."""
    frame = frame.astype(object).where(frame.notna(), None)
    for (system, storyboard, seed), rows in frame.groupby(["system", "storyboard", "seed"], sort=False, observed=True):
        tags = tuple((rows["tags"].iloc[0] or "").split())
        scores = {row.metric: _score(row) for row in rows.itertuples() if row.metric is not None}
        error = None if scores else rows["reason"].iloc[0]
        video = Item(system, storyboard, int(seed)).folder(folder) / VIDEO
        yield ItemResult(
            system, storyboard, int(seed), tags, scores or None, error, video=video if video.is_file() else None
        )


def _score(row: Any) -> Score:
    parts = (part.partition("=") for part in (row.parts or "").split())
    named = {name: float(value) for name, _, value in parts}
    return Score(row.version, row.value, named, row.covered, row.of, row.reason)


def _distances(frame: pd.DataFrame, systems: tuple[str, ...]) -> dict[str, dict[int, Cell]]:
    """Similarity of shots by how many shots apart they are, as of `benchmarks.reporting.frames.distance_frame`."""
    frame = frame.astype(object).where(frame.notna(), None)
    found: dict[str, dict[int, Cell]] = {system: {} for system in systems}
    for row in frame.itertuples():
        n = int(row.storyboards)
        found[row.system][int(row.shots_apart)] = Cell(row.similarity, row.standard_error, n, 0, 0, n, n)
    return found
