"""A small benchmark as a job: chosen systems on the first storyboards of a suite, made, scored and added up here."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable
from pathlib import Path
from typing import Any

from desk.studio.jobs import Job, Stopped
from desk.studio.limits import LimitError
from desk.studio.models import EMBEDDED_NAME, Model
from desk.studio.studio import Studio, holder
from holocine.plurals import counted

SUITE = "puppet"
SYSTEMS = (
    "holocine",
    "holocine-full",
    "isolated",
    "no-window",
    "single-prompt",
    "independent-shots",
    "truth",
    "still",
    "shuffled",
)
USUAL = ("holocine", "isolated", "truth", "still")
MOST_STORYBOARDS, MOST_SECONDS = 6, 1800
RUN = "run"


def submit(studio: Studio, visitor: str, model: Model, systems: list[str], count: int, steps: int | None) -> Job:
    """Queue a run; raises LimitError or QueueFull in one sentence."""
    unknown = [name for name in systems if name not in SYSTEMS]
    if unknown or not systems:
        raise LimitError(f"choose one or more of the systems {', '.join(SYSTEMS)}")
    if not 1 <= count <= MOST_STORYBOARDS:
        raise LimitError(f"{count} storyboards are asked for, but 1 to {MOST_STORYBOARDS} can be run here")
    studio.outputs.clean()
    systems = [name for name in SYSTEMS if name in systems]
    return studio.jobs.submit(
        visitor, lambda job: _run(studio, job, model, systems, int(count), steps), MOST_SECONDS, "run"
    )


def _run(studio: Studio, job: Job, model: Model, systems: list[str], count: int, steps: int | None) -> dict[str, Any]:
    from benchmarks.running.run import Plan, run
    from benchmarks.suites.suite import load_suite
    from benchmarks.systems.models import ModelSettings
    from benchmarks.systems.systems import parse_systems

    folder = studio.outputs.new_folder(job.id)
    try:
        settings = ModelSettings(None if model.name == EMBEDDED_NAME else model.name, num_inference_steps=steps)
        plan = Plan(load_suite(SUITE), parse_systems(systems, settings), systems, settings, limit=count)
        job.say(stage="run", done=0, total=len(systems) * count, current="")

        def tell(progress: Any) -> None:
            current = ", ".join(f"{item.system} on {item.storyboard_id}" for item in progress.current)
            told = {"done": progress.done + progress.failed, "total": progress.total, "seconds_left": progress.eta}
            job.say(**told, current=current)

        run(plan, folder / RUN, _here(studio, job), tell)
    except BaseException:
        studio.outputs.drop(job.id)
        raise
    content = {"kind": "run", "title": f"{len(systems)} systems, {counted(count, 'storyboard')}"}
    studio.outputs.keep(job.id, job.visitor, content)
    return content


def _here(studio: Studio, job: Job) -> Callable[..., Generator]:
    """An engine of `running.run` that works in this process, with the models that the desk has loaded already."""

    def engine(
        work: Iterable, make_worker: Callable[[Path | None], Any], scratch: Path, begun: Callable[[Any], None]
    ) -> Generator:
        worker = make_worker(scratch)
        worker.models = _Held(job)
        worker.scorer = lambda path, board: studio.scorer.score(path, board)[0].to_json()
        for one in work:
            begun(one.item)
            outcome = worker.do(one)
            job.check()
            yield outcome

    return engine


class _Held:
    """Stands for `systems.models.Models`: the desk's own pipeline, which stops within a step when the job does.

    seconds: what loading it has taken.
    """

    def __init__(self, job: Job) -> None:
        self.job, self.seconds = job, 0.0

    def pipeline(self, settings: Any) -> _Stoppable:
        start = time.perf_counter()
        pipeline = holder.take(settings.model or EMBEDDED_NAME)  # is there already, or is loaded
        self.seconds += time.perf_counter() - start
        return _Stoppable(pipeline, self.job)


class _Stoppable:
    """A pipeline whose calls end within one step when a job has to end."""

    def __init__(self, pipeline: Any, job: Job) -> None:
        self._pipeline, self._job = pipeline, job

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pipeline, name)

    def __call__(self, *args: Any, callback_on_step_end: Callable | None = None, **options: Any) -> Any:
        def step_end(pipeline: Any, step: int, timestep: Any, tensors: dict[str, Any]) -> dict[str, Any]:
            result = callback_on_step_end(pipeline, step, timestep, tensors) if callback_on_step_end else {}
            try:
                self._job.check()
            except Stopped:
                return {**(result or {}), "cancel": True}
            return result or {}

        return self._pipeline(*args, callback_on_step_end=step_end, **options)
