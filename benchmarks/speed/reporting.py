"""The part "report" of `benchmarks.speed`: what a report of a large run takes, from its folder to the last file."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, product
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.running.items import LOG, RECORD, SCORECARD, VIDEO, Hashes, Item, Record, RunInfo, land
from benchmarks.running.scoring import Scoring, metric_ids
from benchmarks.suites.suite import load_suite, write_suite
from benchmarks.systems.systems import KINDS
from eval.metrics import all_metrics
from holocine import write_video
from holocine.puppet.renderer import render

TARGET_REPORT = 10.0
ITEMS, TEMPLATES = 10_000, 3


@dataclass(frozen=True)
class ReportCost:
    """What `python -m benchmarks report` took for a run of `items` items, start of the process included.

    seconds: by the clock. cpu_seconds: of computing, which other programs on the machine disturb less.
    """

    items: int
    seconds: float
    cpu_seconds: float


def measure_report(items: int = ITEMS) -> ReportCost:
    """Write a run of so many items and report it, compared with a baseline, in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        write_large_run(Path(folder), items)
        command = [sys.executable, "-m", "benchmarks", "report", folder, "--baseline", "holocine"]
        before, start = _cpu_of_children(), time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=Path(__file__).parents[2])
        return ReportCost(items, time.perf_counter() - start, _cpu_of_children() - before)


def write_large_run(out: Path, items: int) -> None:
    """A run of the suite `puppet` as large as asked for, without making videos.

    Scorecards are those of a few real videos with every sum changed at random; systems are all that there are, and
    storyboards are repeated as often as it takes.
    """
    suite, systems = load_suite("puppet"), [kind for kind in KINDS if not {":", "@"} & set(kind)]
    seeds = -(-items // (len(suite) * len(systems)))
    templates, rng = _scorecards(suite.entries[:TEMPLATES]), np.random.default_rng(0)
    metrics = metric_ids()
    identity = {"name": suite.name, "version": suite.version, "sha256": suite.sha256}
    write_suite(out / "suite.jsonl", suite)
    RunInfo(identity, {name: name for name in systems}, {}, metrics, Scoring().plain(), tuple(range(seeds))).save(out)
    for number, (seed, entry, system) in enumerate(islice(product(range(seeds), suite.entries, systems), items)):
        record = Record(
            *(system, entry.id, seed, "done", None, {"generate": 1.0, "score": 1.0}, 1000.0),
            Hashes(entry.shown_sha256, None, system, "metrics"),
        )
        card = json.dumps(_varied(templates[number % len(templates)], rng))
        files = {RECORD: record.to_json(), SCORECARD: card, LOG: "", VIDEO: ""}
        land(out, Item(system, entry.id, seed), {name: text.encode() for name, text in files.items()})


def _scorecards(entries: Sequence[Any]) -> list[dict[str, Any]]:
    """Real scorecards, as JSON values, of what the puppet world shows of some storyboards."""
    score, cards = Scoring().load(), []
    with tempfile.TemporaryDirectory() as folder:
        for entry in entries:
            video = Path(folder) / f"{entry.id}.mp4"
            write_video(video, render(entry.scene)[0], entry.storyboard.fps, entry.storyboard)
            cards.append(json.loads(score(video, entry.storyboard)))
    return cards


def _varied(card: Mapping[str, Any], rng: np.random.Generator) -> dict[str, Any]:
    """A scorecard with other sums, and the values that follow from them."""
    metrics = {}
    for name, metric in card["metrics"].items():
        parts = {
            part: value * rng.uniform(0.7, 1.0) if part == "sum" else value for part, value in metric["parts"].items()
        }
        value = None if metric["value"] is None else all_metrics()[name].value_of(parts)
        metrics[name] = {**metric, "parts": parts, "value": value}
    return {**card, "metrics": metrics}


def _cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def report_table(cost: ReportCost) -> str:
    return (
        f"report of {cost.items:,} items: {cost.seconds:.1f} s (target {TARGET_REPORT:g} s), "
        f"of which {cost.cpu_seconds:.1f} s are computing"
    )
