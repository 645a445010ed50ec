"""What is otherwise than when a run's results were made, in words: options, systems and models, old and new."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.running.items import Hashes, RunInfo
from benchmarks.running.work import Job
from benchmarks.suites.suite import content_hash
from benchmarks.systems.folders import Folder
from benchmarks.systems.models import ModelSettings, file_sha256
from benchmarks.systems.systems import UnknownSystem, parse_system
from holocine.families.options import flag
from holocine.plurals import few

_NONE = "without these"


def video_changes(
    before: RunInfo | None, now: RunInfo, settings: ModelSettings, job: Job, made: Hashes, copy: Path
) -> Iterator[str]:
    """What the video of an item depends on and is otherwise now, a few words each.

    made: the hashes of its record; copy: its video in the run. Options are told where those that run.json has are known
    to be its own.
    """
    if made.storyboard != job.hashes.storyboard:
        yield "its storyboard has changed"
    if before is None:
        return
    name = job.item.system
    if isinstance(job.system, Folder) and made.system != job.hashes.system:
        yield _finished_change(job.system, job, made, copy)
    old, new = before.systems.get(name), now.systems.get(name)
    if made.system != job.hashes.system and old is not None and before.model:
        options = {key: value for key, value in before.model.items() if key in settings.definition()}
        if _is_of(old, replace(settings, **options), job, made):
            told = settings.definition()
            yield from _differences(options, {key: told[key] for key in options})
    if old != new:
        yield f"the system {name} was {old}, now {new}"
    elif made.model != job.hashes.model and before.model.get("name") != now.model.get("name"):
        yield f"--model was {before.model.get('name')}, now {now.model.get('name')}"
    elif made.model != job.hashes.model:
        yield f"the weights of {name} have changed"
    if before.world != now.world and None not in (before.world, now.world):
        yield f"the puppet world was of version {before.world}, now {now.world}"


def _finished_change(system: Folder, job: Job, made: Hashes, copy: Path) -> str:
    """What is otherwise with a finished video than when its copy in the run was scored."""
    try:
        now = system.find(job.entry.id, job.item.seed)
    except ValueError as error:
        return f"the video that was scored is gone ({error})"
    definition = system.definition(job.entry, job.item.seed)
    if copy.is_file() and content_hash({**definition, "file": file_sha256(copy)}) == made.system:
        return f"the video {now} is another file than the one that was scored"
    return f"{system.mapping} says otherwise of {now} (cuts, fps, start or align)"


def score_changes(before: RunInfo | None, now: RunInfo) -> Iterator[str]:
    """What scores depend on and is otherwise now, a few words each."""
    if before is None:
        return
    yield from _differences(before.scoring, now.scoring)
    new = [metric for metric in now.metrics if metric not in before.metrics]
    gone = [metric for metric in before.metrics if metric not in now.metrics]
    if new or gone:
        yield f"metrics were {few(gone, 3) or _NONE}, now {few(new, 3) or _NONE}"


def _is_of(spec: str, settings: ModelSettings, job: Job, made: Hashes) -> bool:
    """Whether a result was made by a system of these settings."""
    try:
        system = parse_system(spec, settings)
    except UnknownSystem:  # its model is not here any more
        return False
    return content_hash(system.definition(job.entry, job.item.seed)) == made.system


def _differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    for name in old:
        if old[name] != new.get(name):
            yield f"{flag(name)} was {_said(old[name])}, now {_said(new.get(name))}"


def _said(value: Any) -> str:
    return "not given" if value is None else str(value)
