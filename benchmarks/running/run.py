"""Running systems over a suite: which items there are, which of them are due, and landing what comes of them."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from benchmarks.running.changes import score_changes, video_changes
from benchmarks.running.code import code_version
from benchmarks.running.items import (
    LOG,
    REQUEST,
    SCORECARD,
    SCRATCH,
    VIDEO,
    Hashes,
    Item,
    Record,
    RunError,
    RunInfo,
    existing,
    items_in,
    land,
    locked,
    read_record,
    remove,
    sweep,
)
from benchmarks.running.refused import refusals
from benchmarks.running.scoring import Scoring, metric_ids
from benchmarks.running.work import Job, Outcome, Worker, no_space
from benchmarks.suites.suite import Entry, Suite, content_hash, load_suite, write_suite
from benchmarks.systems.folders import Folder
from benchmarks.systems.models import ModelSettings, model_sha256, transformer_sha256
from benchmarks.systems.systems import System, World
from holocine.plurals import counted
from holocine.puppet.world import WORLD_VERSION

logger = logging.getLogger(__name__)

State = Literal["new", "unscored", "done", "failed", "changed", "metrics changed"]
Engine = Callable[..., Generator[Outcome]]


@dataclass(frozen=True)
class Plan:
    """What to run, and on what terms.

    seeds: repetitions of each storyboard, numbered from 0. limit: only so many storyboards, the suite's first. shard:
    (i, n), only the i-th of n equal parts, from 1. retry_failed: work again on items that failed. changed: what to do
    with results whose suite, model, system or metrics have changed since: "refuse" to run, or "rerun" them.
    """

    suite: Suite
    systems: Sequence[System]
    specs: Sequence[str]
    settings: ModelSettings = field(default_factory=ModelSettings)
    scoring: Scoring = field(default_factory=Scoring)
    seeds: int = 1
    limit: int | None = None
    shard: tuple[int, int] = (1, 1)
    retry_failed: bool = False
    changed: Literal["refuse", "rerun"] = "refuse"

    def info(self) -> RunInfo:
        return RunInfo(
            suite={"name": self.suite.name, "version": self.suite.version, "sha256": self.suite.sha256},
            systems={system.name: spec for system, spec in zip(self.systems, self.specs, strict=True)},
            model=self._model(),
            metrics=metric_ids(),
            scoring=self.scoring.plain(),
            seeds=tuple(range(self.seeds)),
            world=WORLD_VERSION if any(isinstance(system, World) for system in self.systems) else None,
            code=(code_version(),),
        )

    def _model(self) -> dict[str, Any]:
        if all(system.settings is None for system in self.systems):
            return {}
        name = self.settings.model
        hashes = {"sha256": model_sha256(name), "transformer_sha256": transformer_sha256(name)}
        return {"name": name or "embedded", **hashes, **self.settings.definition()}

    def jobs(self) -> Iterator[Job]:
        """All items of this shard with their hashes: model after model, then storyboard after storyboard.

        So a worker changes its model as rarely as possible, and a run that is stopped has compared its systems on the
        same storyboards.
        """
        i, n = self.shard
        pairs = [(entry, seed) for seed in range(self.seeds) for entry in self.suite.entries[: self.limit]]
        by_model: dict[ModelSettings | None, list[System]] = {}
        for system in self.systems:
            by_model.setdefault(system.settings, []).append(system)
        for systems in by_model.values():
            for entry, seed in pairs[i - 1 :: n]:
                for system in systems:
                    item = Item(system.name, entry.id, seed)
                    yield Job(item, entry, system, self._hashes(entry, system, seed))

    def _hashes(self, entry: Entry, system: System, seed: int) -> Hashes:
        return Hashes(
            storyboard=entry.shown_sha256,
            model=model_sha256(system.settings.model) if system.settings is not None else None,
            system=content_hash(system.definition(entry, seed)),
            metrics=self.scoring.sha256(entry.storyboard),
        )


@dataclass(frozen=True)
class Progress:
    """Where a run is. done, failed: items of this call so far, out of `total`. eta: seconds, None at first.

    current: the items that workers are at. last: what ended just now.
    """

    done: int
    failed: int
    total: int
    eta: float | None
    current: tuple[Item, ...]
    last: Record | None


@dataclass(frozen=True)
class Summary:
    """How a run ended: items done now, failed now, and kept from before (failed ones among them).

    first_failed: the first item that has failed, now or before. refused: how many of those that failed, now or before,
    cannot be made at all. storyboards: how many it was over, of how many of the suite.
    """

    done: int
    failed: int
    kept: int
    kept_failed: int
    seconds: float
    first_failed: Item | None = None
    refused: int = 0
    storyboards: tuple[int, int] | None = None


def run(
    plan: Plan,
    out: Path,
    engine: Engine,
    progress: Callable[[Progress], None] = lambda progress: None,
    announce: Callable[[dict[Item, str], int], None] = lambda refused, due: None,
) -> Summary:
    """Work on every item of a plan that is due, and put the results into the folder `out`.

    announce: called before the first item with those that are refused, as storyboards and systems tell, each with the
    reason, and the number of all that are due.
    engine: `run_local` or `run_ray` with its options bound. Raises `RunError` for a folder that is in use, holds
    another suite or other results, or has no room.
    """
    with locked(out):
        sweep(out)
        before = RunInfo.load(out)
        info = plan.info()
        _check_suite(out, before, info, plan.changed)
        jobs = list(plan.jobs())
        states = {job.item: state(out, job) for job in jobs}
        if plan.changed == "refuse":
            _check_changed(out, before, info, plan, jobs, states)
        _begin(out, before, info, plan)
        due = [job for job in jobs if _is_due(states[job.item], plan.retry_failed)]
        kept = [item for item, its in states.items() if not _is_due(its, plan.retry_failed)]
        made = [job for job in due if states[job.item] not in ("unscored", "metrics changed")]
        announce(refusals(made), len(due))
        clock, seconds = _work(out, due, plan.scoring, engine, progress)
        kept_failed = [item for item in kept if states[item] == "failed"]
        failed = [*kept_failed, *clock.failures]
        refused = sum(record.refused for item in failed if (record := read_record(out, item)) is not None)
    return Summary(
        *(clock.done, len(clock.failures), len(kept), len(kept_failed), seconds, next(iter(failed), None), refused),
        (len({job.entry.id for job in jobs}), len(plan.suite)),
    )


def rescore(out: Path, scoring: Scoring, engine: Engine, progress=lambda progress: None) -> Summary:
    """Score the videos of a run again, those whose scores are not of the present metrics; nothing is generated."""
    existing(out)
    with locked(out):
        sweep(out)
        info = existing(out)
        suite = load_suite(out / "suite.jsonl")
        jobs, kept = [], 0
        for item in items_in(out):
            record = read_record(out, item)
            if record is None or item.storyboard_id not in suite.ids or not (item.folder(out) / VIDEO).is_file():
                logger.warning("%s has no video to score", item)
                continue
            entry = suite[item.storyboard_id]
            job = Job(item, entry, None, replace(record.hashes, metrics=scoring.sha256(entry.storyboard)))
            if state(out, job) == "done":
                kept += 1
            else:
                jobs.append(job)
        replace(info, metrics=metric_ids(), scoring=scoring.plain()).worked_on_by(code_version()).save(out)
        clock, seconds = _work(out, jobs, scoring, engine, progress)
    return Summary(clock.done, len(clock.failures), kept, 0, seconds, next(iter(clock.failures), None))


def state(out: Path, job: Job) -> State:
    """What is there of an item.

    "new": nothing that can be used; "unscored": a video without a readable scorecard; "changed", "metrics changed": a
    result of other hashes.
    """
    record = read_record(out, job.item)
    if record is None:
        return "new"
    folder = job.item.folder(out)
    has_video = (folder / VIDEO).is_file()
    if record.status == "failed":
        return "failed" if record.hashes.same_video(job.hashes) else "new"
    if not record.hashes.same_video(job.hashes):
        return "changed"
    if not has_video:
        return "new"
    if record.hashes != job.hashes:
        return "metrics changed"
    return "done" if _is_scorecard(folder / SCORECARD) else "unscored"


def _is_scorecard(path: Path) -> bool:
    from eval import Scorecard, ScorecardError

    try:
        Scorecard.load(path)
    except ScorecardError as error:
        logger.warning("%s; it is scored again", error)
        return False
    return True


def _is_due(its: State, retry_failed: bool) -> bool:
    return its != "done" and (its != "failed" or retry_failed)


def _check_suite(out: Path, before: RunInfo | None, info: RunInfo, changed: str) -> None:
    if before is None:
        return
    if before.suite["name"] != info.suite["name"]:
        raise RunError(
            f"{out} holds results of the suite {before.suite['name']}, not of {info.suite['name']}: "
            "choose another folder"
        )
    if before.suite["sha256"] != info.suite["sha256"] and changed == "refuse":
        raise RunError(
            f"the suite {info.suite['name']} has changed since {out} was begun ({before.suite['sha256'][:12]}, now "
            f"{info.suite['sha256'][:12]}): choose another folder, or --changed rerun to redo what differs"
        )


def _check_changed(
    out: Path, before: RunInfo | None, info: RunInfo, plan: Plan, jobs: Sequence[Job], states: dict[Item, State]
) -> None:
    """Raise `RunError`, naming what has changed, if there are results of other settings."""
    stale = [job for job in jobs if states[job.item] in ("changed", "metrics changed")]
    if not stale:
        return
    videos = [job for job in stale if states[job.item] == "changed"]
    first = (videos or stale)[0]
    if videos:
        copy = first.item.folder(out) / VIDEO
        found = video_changes(before, info, plan.settings, first, read_record(out, first.item).hashes, copy)
        unknown = "the model, the system, the puppet world or the storyboard has changed"
    else:
        found, unknown = score_changes(before, info), "the metrics, the encoders or the detector have changed"
    finished = isinstance(first.system, Folder)
    again = "score the new ones" if videos and finished else f"{'make' if videos else 'score'} them again"
    made = "of videos that have changed" if videos and finished else "made otherwise"
    raise RunError(
        f"{out} has {counted(len(videos or stale), 'item')} {made}, first {first.item}: "
        f"{', '.join(found) or unknown}; choose another folder, or --changed rerun to {again}"
    )


def _begin(out: Path, before: RunInfo | None, info: RunInfo, plan: Plan) -> None:
    """Write run.json and the suite; take out items of storyboards that the suite no longer has."""
    if before is not None:
        info = replace(
            info,
            systems={**before.systems, **info.systems},
            model=info.model or before.model,
            seeds=tuple(sorted({*before.seeds, *info.seeds})),
            world=info.world or before.world,
            code=before.worked_on_by(*info.code).code,
        )
        for item in list(items_in(out)):
            if item.storyboard_id not in plan.suite.ids:
                remove(out, item)
    try:
        write_suite(out / "suite.jsonl", plan.suite)
        info.save(out)
    except OSError as error:
        raise RunError(no_space(error)) from None


def _work(
    out: Path, due: list[Job], scoring: Scoring, engine: Engine, progress: Callable[[Progress], None]
) -> tuple[_Clock, float]:
    """Hand jobs to the engine and land what comes back; returns what was counted, and seconds."""
    clock = _Clock(due)
    current: dict[Item, None] = {}

    def begun(item: Item) -> None:
        current[item] = None
        progress(clock.progress(current, None))

    jobs = map(partial(_with_kept, out), due)
    with closing(engine(jobs, partial(Worker, scoring), scratch=out / SCRATCH, begun=begun)) as outcomes:
        for outcome in outcomes:
            if outcome.stop is not None:
                raise RunError(outcome.stop)
            try:
                land(out, outcome.item, outcome.files)
            except OSError as error:
                raise RunError(no_space(error)) from None
            current.pop(outcome.item, None)
            clock.ended(outcome)
            progress(clock.progress(current, outcome.record))
    sweep(out)
    return clock, time.monotonic() - clock.start


def _with_kept(out: Path, job: Job) -> Job:
    """The job with the item's video, if there is one and it is what it should be."""
    record = read_record(out, job.item)
    folder = job.item.folder(out)
    if record is None or not record.hashes.same_video(job.hashes) or not (folder / VIDEO).is_file():
        return job
    kept = {name: (folder / name).read_bytes() for name in (VIDEO, LOG, REQUEST) if (folder / name).is_file()}
    return replace(job, kept=kept, before=record)


class _Clock:
    """Counts items and guesses how long the rest will take, from the pace of each system so far."""

    def __init__(self, jobs: Iterable[Job]) -> None:
        self.left: dict[str, int] = {}
        for job in jobs:
            self.left[job.item.system] = self.left.get(job.item.system, 0) + 1
        self.total = sum(self.left.values())
        self.done = 0
        self.failures: list[Item] = []
        self.spent: dict[str, list[float]] = {}
        self.start = time.monotonic()

    def ended(self, outcome: Outcome) -> None:
        record = outcome.record
        self.left[record.system] -= 1
        self.spent.setdefault(record.system, []).append(outcome.seconds)
        if record.status == "done":
            self.done += 1
        else:
            self.failures.append(record.item)

    def progress(self, current: Iterable[Item], last: Record | None) -> Progress:
        return Progress(self.done, len(self.failures), self.total, self._eta(), tuple(current), last)

    def _eta(self) -> float | None:
        ended = [seconds for spent in self.spent.values() for seconds in spent]
        work = sum(ended)
        if not work:
            return None
        average = work / len(ended)
        means = {name: sum(spent) / len(spent) for name, spent in self.spent.items()}
        rest = sum(count * means.get(name, average) for name, count in self.left.items())
        return rest * (time.monotonic() - self.start) / work  # workers side by side, loading, landing
