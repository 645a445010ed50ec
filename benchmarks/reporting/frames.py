"""A run as pandas tables, for CSV and Parquet and for everyone's own analysis."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from benchmarks.reporting.results import Results, Score
from benchmarks.reporting.significance import interval
from benchmarks.reporting.summary import Cell, Summary
from benchmarks.reporting.tables import trusted
from eval.metric import Metric


def item_frame(results: Results) -> pd.DataFrame:
    """One row for every metric of every item, failed items with one row of their error."""
    metrics: list[str | None] = []
    scores: list[Score] = []
    counts = []
    for item in results.items:
        if item.scorecard is None:
            metrics.append(None)
            scores.append(Score(None, None, None, None, None, item.error))
        else:
            metrics += item.scorecard
            scores += item.scorecard.values()
        counts.append(1 if item.scorecard is None else len(item.scorecard))

    def of_items(values: Iterable[str]) -> pd.Categorical:
        """One value an item, as often as the item has rows."""
        return pd.Categorical(list(values)).repeat(counts)

    return pd.DataFrame(  # by column: by row takes five times as long
        {
            "system": of_items(item.system for item in results.items),
            "storyboard": of_items(item.storyboard_id for item in results.items),
            "seed": np.repeat([item.seed for item in results.items], counts),
            "metric": pd.Categorical(metrics),
            "version": pd.array([score.version for score in scores], dtype="Int64"),
            "value": pd.array([score.value for score in scores], dtype="Float64"),
            "covered": pd.array([score.covered for score in scores], dtype="Int64"),
            "of": pd.array([score.of for score in scores], dtype="Int64"),
            "parts": [_parts(score.parts) for score in scores],
            "reason": [score.reason for score in scores],
            "tags": of_items(" ".join(item.tags) for item in results.items),
        }
    )


def _parts(parts: Mapping[str, float] | None) -> str | None:
    return None if parts is None else " ".join([f"{name}={value!r}" for name, value in parts.items()])


def video_frame(results: Results) -> pd.DataFrame:
    """One row for every item: why it failed, if it did, and what making and scoring its video took."""
    rows = [
        {
            "system": item.system,
            "storyboard": item.storyboard_id,
            "seed": item.seed,
            "error": item.error,
            "load_seconds": (item.seconds or {}).get("load"),
            "generate_seconds": (item.seconds or {}).get("generate"),
            "score_seconds": (item.seconds or {}).get("score"),
            "peak_mb": item.peak_mb,
        }
        for item in results.items
    ]
    return pd.DataFrame(rows)


def metric_frame(summary: Summary) -> pd.DataFrame:
    """One row for every metric of every system, with how far the metric can be trusted."""
    trust = {metric.name: trusted(summary, metric) for metric in summary.metrics}
    return _typed(
        [
            {"system": system, **_metric(metric), **_cell(summary.table[metric.name][system], metric, summary.baseline)}
            | {"trust": trust[metric.name].word, "limits": trust[metric.name].limits}
            for metric in summary.metrics
            for system in summary.systems
        ]
    )


def tag_frame(summary: Summary) -> pd.DataFrame:
    """One row for every tag, metric of the main table and system."""
    return _typed(
        [
            {"tag": tag, "system": system, **_metric(metric), **_cell(found[metric.name][system], metric, None)}
            for tag, found in summary.tags.items()
            for metric in summary.main
            for system in summary.systems
        ]
    )


def distance_frame(summary: Summary) -> pd.DataFrame:
    """One row for every system and number of shots between two that show the same character."""
    return pd.DataFrame(
        [
            {
                "system": system,
                "shots_apart": distance,
                "similarity": cell.value,
                "standard_error": cell.error,
                "storyboards": cell.storyboards,
            }
            for system, found in summary.distances.items()
            for distance, cell in found.items()
        ],
        columns=["system", "shots_apart", "similarity", "standard_error", "storyboards"],
    )


def main_frame(summary: Summary) -> pd.DataFrame:
    """The main table in numbers: a row a system, value and standard error of each metric and how it stands."""
    rows = []
    for system in summary.systems:
        row: dict[str, object] = {"system": system, "bound": system in summary.results.bounds}
        for metric in summary.main:
            cell = summary.table[metric.name][system]
            row |= {metric.name: cell.value, f"{metric.name}_standard_error": cell.error}
            row |= {f"{metric.name}_{name}": value for name, value in _standing(cell).items()}
        rows.append(row)
    return _typed(rows)


_TYPES = {"rank": "Int64", "like_best": "boolean", "fooled_by": "string"}


def _typed(rows: list[dict[str, object]]) -> pd.DataFrame:
    """Rows as a table whose columns of standings have types that know what is missing."""
    frame = pd.DataFrame(rows)
    types = {c: type for c in frame for name, type in _TYPES.items() if c == name or c.endswith(f"_{name}")}
    return frame.astype(types)


def _metric(metric: Metric) -> dict[str, object]:
    return {"metric": metric.name, "version": metric.version, "group": metric.group, "direction": metric.direction}


def _standing(cell: Cell) -> dict[str, object]:
    return {"rank": cell.rank, "like_best": cell.standing.like_best, "fooled_by": cell.standing.fooled_by}


def _cell(cell: Cell, metric: Metric, baseline: str | None) -> dict[str, object]:
    ends = None if cell.value is None else interval(cell.value, cell.error, cell.storyboards, metric.range)
    plain: dict[str, object] = {
        "value": cell.value,
        "standard_error": cell.error,
        "value_low": ends and ends[0],
        "value_high": ends and ends[1],
        **_standing(cell),
        "storyboards": cell.storyboards,
        "videos": cell.videos,
        "num_videos": cell.num_videos,
        "covered": cell.covered,
        "of": cell.of,
    }
    if baseline is None:
        return plain
    one = cell.comparison
    names = ("difference", "low", "high", "p", "holm", "pairs")
    return {**plain, "baseline": baseline, **{name: getattr(one, name) if one else None for name in names}}
