"""The part "run" of `benchmarks.speed`: what the runner costs an item, and what a second worker gains for scoring."""

from __future__ import annotations

import shutil
import tempfile
import time
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from benchmarks.running.local_engine import run_local
from benchmarks.running.run import Plan, Progress, rescore, run
from benchmarks.running.scoring import Scoring
from benchmarks.suites.suite import Suite, load_suite
from benchmarks.systems.models import ModelSettings
from benchmarks.systems.systems import parse_systems

TARGET_OVERHEAD, TARGET_GAIN = 0.050, 1.7


@dataclass(frozen=True)
class RunCost:
    """items: videos of the puppet world's truth. overhead: seconds an item takes beyond being made and scored; encoding
    and writing the video is part of it. scoring: seconds to score an item, by number of workers.
    """

    items: int
    overhead: float
    scoring: dict[int, float]

    @property
    def gain(self) -> float:
        """How many times as fast two workers score as one."""
        return self.scoring[1] / self.scoring[2]


class _Watch:
    """Notes when items end, so that what happens before every worker has ended one (loading) does not count."""

    def __init__(self) -> None:
        self.ends: list[float] = []
        self.work: list[float] = []

    def __call__(self, progress: Progress) -> None:
        if progress.last is not None:
            self.ends.append(time.perf_counter())
            self.work.append(sum(progress.last.seconds.values()))

    def seconds_per_item(self, workers: int) -> float:
        return (self.ends[-1] - self.ends[workers - 1]) / (len(self.ends) - workers)

    def overhead_per_item(self) -> float:
        return self.seconds_per_item(1) - sum(self.work[1:]) / (len(self.work) - 1)


def measure_run(items: int = 16, suite: Suite | None = None, scoring: Scoring | None = None) -> RunCost:
    """Run `truth` over a suite's first storyboards, then score these videos by one worker and by two."""
    suite, scoring = suite or load_suite("puppet"), scoring or Scoring()
    without = replace(scoring, encoders="none", detector="pyscenedetect")
    truth = parse_systems(["truth"], ModelSettings())
    plan = Plan(suite, truth, ["truth"], scoring=without, limit=items)
    seconds = {}
    with tempfile.TemporaryDirectory() as folder:
        made, watch = Path(folder) / "made", _Watch()
        run(plan, made, run_local, watch)
        for workers in (1, 2):
            scored, scoring_watch = Path(folder) / str(workers), _Watch()
            shutil.copytree(made, scored)
            rescore(scored, scoring, partial(run_local, workers=workers), scoring_watch)
            seconds[workers] = scoring_watch.seconds_per_item(workers)
    return RunCost(len(watch.ends), watch.overhead_per_item(), seconds)


def run_table(cost: RunCost) -> str:
    return "\n".join(
        [
            f"run over {cost.items} storyboards of the puppet world:",
            f"  {'overhead':<14}{cost.overhead * 1000:7.1f} ms an item (target {TARGET_OVERHEAD * 1000:.0f} ms)",
            f"  {'scoring':<14}{cost.scoring[1]:7.2f} s an item by one worker, {cost.scoring[2]:.2f} s by two: "
            f"{cost.gain:.2f}x (target {TARGET_GAIN}x on two cores)",
        ]
    )
