"""Results in the files that the Hugging Face hub reads: leaderboards' results.json, models' .eval_results."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml
from huggingface_hub import EvalResultEntry, eval_result_entries_to_yaml

from benchmarks.reporting.summary import Summary
from benchmarks.reporting.weights import weights_of
from holocine.files import replacing
from holocine.plurals import listed


def leaderboard_results(summary: Summary, system: str) -> dict[str, Any]:
    """What the hub's leaderboard template reads of one model: its config, and values by task (the suite) and metric."""
    weights = weights_of(summary.results, system)
    suite = summary.results.suite
    cells = {metric.id: summary.table[metric.name][system] for metric in summary.metrics}
    return {
        "config": {
            "model_name": listed(weights.names) if weights else system,
            "model_sha": (weights.sha256 or "") if weights else "",
            "model_dtype": _dtype(summary.results.info.model) if weights else "",
            "system": system,
            "suite_sha256": suite.sha256,
        },
        "results": {
            f"{suite.name}-{suite.version}": {
                name: cell.value for name, cell in cells.items() if cell.value is not None
            }
        },
    }


def eval_results(summary: Summary, system: str, dataset: str) -> list[dict[str, Any]]:
    """What a model repository holds in `.eval_results/SUITE.yaml`, for a benchmark data set OWNER/NAME on the hub.

    A task is called SUITE_METRIC; the notes say on how much the value stands.
    """
    suite = summary.results.suite
    entries = []
    for metric in summary.main:
        cell = summary.table[metric.name][system]
        if cell.value is None:
            continue
        error = "" if cell.error is None else f" ± {cell.error:.4f}"
        by = cell.standing.fooled_by
        notes = (
            f"{metric.id} of {system}{error}, {cell.videos} of {cell.num_videos} videos, "
            f"suite {suite.name} {suite.version} ({suite.sha256[:12]})"
            f"{'' if by is None else f'; the metric was fooled, as {by} shows'}"
        )
        entries.append(
            EvalResultEntry(
                dataset_id=dataset, task_id=f"{suite.name}_{metric.name}", value=round(cell.value, 6), notes=notes
            )
        )
    return eval_result_entries_to_yaml(entries)


def write_hub(summary: Summary, out: Path, dataset: str | None) -> None:
    """Write SYSTEM/results.json under `out` and, for a benchmark data set, SYSTEM/.eval_results/SUITE.yaml."""
    for system in summary.systems:
        folder = out / system
        folder.mkdir(parents=True, exist_ok=True)
        with replacing(folder / "results.json") as temporary:
            content = json.dumps(leaderboard_results(summary, system), ensure_ascii=False, indent=1)
            temporary.write_text(content + "\n", encoding="utf-8")
        if dataset is not None:
            (folder / ".eval_results").mkdir(exist_ok=True)
            with replacing(folder / ".eval_results" / f"{summary.results.suite.name}.yaml") as temporary:
                content = yaml.safe_dump(eval_results(summary, system, dataset), allow_unicode=True, sort_keys=False)
                temporary.write_text(content, encoding="utf-8")


def _dtype(model: Any) -> str:
    return f"torch.{model['dtype']}" if model.get("dtype") else ""
