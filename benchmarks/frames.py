"""A run as pandas tables, for CSV and Parquet and for everyone's own analysis."""

from __future__ import annotations

import pandas as pd

from benchmarks.results import Results
from benchmarks.summary import Cell, Summary
from eval.metric import Metric


def item_frame(results: Results) -> pd.DataFrame:
    """One row for every metric of every item, failed items with one row of their error."""
    rows = []
    for item in results.items:
        tags = " ".join(item.tags)
        head = (item.system, item.storyboard_id, item.seed)
        if item.scorecard is None:
            rows.append((*head, None, None, None, None, None, None, item.error, tags))
            continue
        for name, score in item.scorecard.items():
            parts = " ".join(f"{part}={value!r}" for part, value in score.parts.items())
            rows.append((*head, name, score.version, score.value, score.covered, score.of, parts, score.reason, tags))
    columns = ("system", "storyboard", "seed", "metric", "version", "value", "covered", "of", "parts", "reason", "tags")
    frame = pd.DataFrame(rows, columns=list(columns))
    for name in ("version", "covered", "of"):
        frame[name] = frame[name].astype("Int64")
    frame["value"] = frame["value"].astype("Float64")
    for name in ("system", "storyboard", "metric", "tags"):
        frame[name] = frame[name].astype("category")
    return frame


def metric_frame(summary: Summary) -> pd.DataFrame:
    """One row for every metric of every system."""
    return pd.DataFrame(
        [
            {"system": system, **_metric(metric), **_cell(summary.table[metric.name][system], summary.baseline)}
            for metric in summary.metrics
            for system in summary.systems
        ]
    )


def tag_frame(summary: Summary) -> pd.DataFrame:
    """One row for every tag, metric of the main table and system."""
    return pd.DataFrame(
        [
            {"tag": tag, "system": system, **_metric(metric), **_cell(found[metric.name][system], None)}
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
    """The main table in numbers: a row a system, value and standard error of each metric."""
    rows = []
    for system in summary.systems:
        row: dict[str, object] = {"system": system, "bound": system in summary.results.bounds}
        for metric in summary.main:
            cell = summary.table[metric.name][system]
            row |= {metric.name: cell.value, f"{metric.name}_standard_error": cell.error}
        rows.append(row)
    return pd.DataFrame(rows)


def _metric(metric: Metric) -> dict[str, object]:
    return {"metric": metric.name, "version": metric.version, "group": metric.group, "direction": metric.direction}


def _cell(cell: Cell, baseline: str | None) -> dict[str, object]:
    plain: dict[str, object] = {
        "value": cell.value,
        "standard_error": cell.error,
        "rank": cell.rank,
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
